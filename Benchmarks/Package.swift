// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that nobody who depends on UVLoop resolves what it is compared with.

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let nio: [Target.Dependency] = [
  .product(name: "NIOCore", package: "swift-nio"),
  .product(name: "NIOPosix", package: "swift-nio"),
]

let warnings: [CSetting] = [.unsafeFlags(["-Wall", "-Wextra"])]

let package = Package(
  name: "UVLoopBenchmarks",
  platforms: [.macOS(.v26)],
  dependencies: [
    .package(name: "UVLoop", path: ".."),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/swhitty/FlyingFox", from: "0.27.1"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/ordo-one/TextTable", from: "0.0.2"),
  ],
  targets: [
    .systemLibrary(name: "CUV", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"]), .brew(["libuv"])]),
    .target(name: "CPeers", dependencies: ["CUV"], cSettings: warnings),
    .target(name: "CCounting"),
    .executableTarget(name: "uvloop-count", dependencies: ["CCounting", "UVLoop"], swiftSettings: settings),
    .executableTarget(name: "startup-measure"),
    .executableTarget(name: "startup-c-uv", dependencies: ["CUV"]),
    .executableTarget(name: "startup-uvloop", dependencies: ["UVLoop"], swiftSettings: settings),
    .executableTarget(name: "startup-conc", swiftSettings: settings),
    .executableTarget(
      name: "startup-nio",
      dependencies: nio,
      swiftSettings: settings
    ),
    // The load of the servers that W5 measures, and those: each runs alone in its process.
    .executableTarget(name: "tcpload", dependencies: ["CPeers"], cSettings: warnings),
    .executableTarget(
      name: "server-c", dependencies: ["CPeers", "CUV"], cSettings: warnings + [.headerSearchPath("../CPeers")]),
    .executableTarget(
      name: "server-uvloop", dependencies: ["CPeers", .product(name: "UVLoop", package: "UVLoop")],
      swiftSettings: settings),
    .executableTarget(name: "server-nio", dependencies: nio, swiftSettings: settings),
    .executableTarget(
      name: "server-flyingsocks", dependencies: [.product(name: "FlyingSocks", package: "FlyingFox")],
      swiftSettings: settings),
    .executableTarget(
      name: "uvloop-bench",
      dependencies: nio + [
        "CPeers",
        .product(name: "UVLoop", package: "UVLoop"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "TextTable", package: "TextTable"),
      ],
      swiftSettings: settings
    ),
  ],
  swiftLanguageModes: [.v6]
)
