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

// Only a snippet needs SQLite, and `Scripts/clients` builds that: nobody else needs its headers.
// A snippet sees what is in a product.
let hasSQLite = Context.environment["UVLOOP_SQLITE"] != nil
let sqliteProducts: [Product] = hasSQLite ? [.library(name: "CSQLite", targets: ["CSQLite"])] : []
let sqliteTargets: [Target] =
  hasSQLite
  ? [.target(name: "CSQLite", path: "Snippets/CSQLite", linkerSettings: [.linkedLibrary("sqlite3")])] : []

let package = Package(
  name: "UVLoop",
  platforms: [.macOS(.v26)],
  products: [
    .library(name: "UVLoop", targets: ["UVLoop"]),
    .library(name: "UVLoopInstrumentation", targets: ["UVLoopInstrumentation"]),
    .executable(name: "uv-hello", targets: ["uv-hello"]),
  ] + sqliteProducts,
  dependencies: [
    // None of these is for the library itself. Whoever depends on that gets them fetched, and compiles and links none.
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),  // The demo.
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),  // UVLoopInstrumentation.
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),  // UVLoopInstrumentation.
  ] + documentation,
  targets: [
    .systemLibrary(
      name: "CLibUV",
      pkgConfig: "libuv",
      providers: [.apt(["libuv1-dev"]), .brew(["libuv"]), .yum(["libuv-devel"])]
    ),
    .target(name: "UVLoop", dependencies: ["CLibUV"], swiftSettings: settings),
    .target(
      name: "UVLoopInstrumentation",
      dependencies: [
        "UVLoop", .product(name: "Logging", package: "swift-log"),
        .product(name: "CoreMetrics", package: "swift-metrics"),
      ],
      swiftSettings: settings
    ),
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
    .testTarget(
      name: "UVLoopInstrumentationTests",
      dependencies: [
        "UVLoopInstrumentation", "UVLoop", .product(name: "MetricsTestKit", package: "swift-metrics"),
      ],
      swiftSettings: settings + [.unsafeFlags(["-Onone"], .when(configuration: .release))]
    ),
  ] + sqliteTargets,
  swiftLanguageModes: [.v6]
)
