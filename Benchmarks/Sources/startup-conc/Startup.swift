/// One task on the default executor.
@main
struct Startup {
  static func main() async {
    await Task.detached {}.value
  }
}
