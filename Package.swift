// swift-tools-version: 6.2
import PackageDescription

// Warnings become errors only where `Scripts/check` asks for it: a newer compiler's new warning
// must never break the build of somebody who depends on this package.
let warnings: [SwiftSetting] =
  Context.environment["UVLOOP_WARNINGS_AS_ERRORS"] == nil ? [] : [.treatAllWarnings(as: .error)]

let settings: [SwiftSetting] =
  [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .strictMemorySafety(),
  ] + warnings

// Only `Scripts/docs` needs DocC's plugin: nobody who depends on this package resolves it.
let documentation: [Package.Dependency] =
  Context.environment["UVLOOP_DOCS"] == nil
  ? [] : [.package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0")]

let package = Package(
  name: "UVLoop",
  platforms: [.macOS(.v26)],
  products: [
    .library(name: "UVLoop", targets: ["UVLoop"]),
    .executable(name: "uv-hello", targets: ["uv-hello"]),
  ],
  dependencies: [
    // For the demo alone. Whoever depends on the library gets it fetched, and compiles and links none of it.
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ] + documentation,
  targets: [
    .systemLibrary(
      name: "CLibUV",
      pkgConfig: "libuv",
      providers: [.apt(["libuv1-dev"]), .brew(["libuv"]), .yum(["libuv-devel"])]
    ),
    .target(name: "UVLoop", dependencies: ["CLibUV"], swiftSettings: settings),
    .executableTarget(
      name: "uv-hello",
      dependencies: ["UVLoop", .product(name: "ArgumentParser", package: "swift-argument-parser")],
      swiftSettings: settings
    ),
    .testTarget(
      name: "UVLoopTests",
      // The demo is there to be built beside the tests, which run it.
      dependencies: ["UVLoop", "CLibUV", "uv-hello"],
      exclude: ["Misuse/Fixtures"],
      // In a release run the library is optimised, and the tests are not: that would take minutes, and shows nothing.
      swiftSettings: settings + [.unsafeFlags(["-Onone"], .when(configuration: .release))]
    ),
  ],
  swiftLanguageModes: [.v6]
)
