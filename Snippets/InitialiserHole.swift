// A program without this library that has a data race, though Swift 6.3 accepts it; see the page in Decisions.

// snippet.hole
final class Tally {
  var count = 0
}

actor Home {
  private var closures: [() -> Void] = []
  func keep(_ closure: @escaping () -> Void) { closures.append(closure) }
  func run() { for closure in closures { closure() } }
}

actor Bystander {
  private let tally = Tally()

  init(at home: isolated Home) {
    let tally = tally
    home.keep { tally.count += 1 }
  }

  func add() { tally.count += 1 }
  var count: Int { tally.count }
}

func race() async {
  let home = Home()
  let bystander = await Bystander(at: home)
  await withTaskGroup { group in
    group.addTask { for _ in 0..<1_000_000 { await home.run() } }
    group.addTask { for _ in 0..<1_000_000 { await bystander.add() } }
  }
  print(await bystander.count)  // less than 2000000
}
// snippet.end

await race()
