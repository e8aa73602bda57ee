// Blocking code on libuv's pool: with a label, side by side, and with a limit.

import Foundation
import UVLoop

try await withEventLoop { loop in
  async let hosts = loop.offload(label: "read hosts") { try String(contentsOfFile: "/etc/hosts", encoding: .utf8) }
  async let primes = loop.offload(label: "count primes") { try countPrimes(below: 100_000) }
  print(try await hosts.count, "characters,", try await primes, "primes")

  do {
    // A call that has begun cannot be taken back. It has to ask whether anybody still wants its result.
    try await loop.withTimeout(.milliseconds(100)) {
      print(try await loop.offload(label: "count them all") { try countPrimes(below: .max) })
    }
  } catch let error as UVError where error.code == .timedOut {
    print(error.message)
  }
}

func countPrimes(below end: Int) throws -> Int {
  var count = 0
  for number in 2..<end {
    try Task.checkCancellation()
    var divisor = 2
    while divisor * divisor <= number && number % divisor != 0 { divisor += 1 }
    if divisor * divisor > number { count += 1 }
  }
  return count
}
