import Testing

@testable import UVLoop

@Suite(.sideBySide) struct LoopMembersTests {
  private final class Member: LoopMember {
    let number: Int
    var index = -1

    init(_ number: Int) { self.number = number }
  }

  private let members = LoopMembers<Member>(BiasedLock())

  @Test func `members that come and go at random are each there once, and know where`() {
    var random = SplitMix(seed: 7)
    var there: [Int: Member] = [:]
    for number in 0..<2_000 {
      if Bool.random(using: &random) || there.isEmpty {
        let member = Member(number)
        members.add(member)
        there[number] = member
      } else {
        let key = there.keys.sorted().randomElement(using: &random) ?? 0
        if let member = there.removeValue(forKey: key) {
          members.remove(member)
          #expect(member.index == -1)
        }
      }
      #expect(members.all.count == there.count)
    }
    #expect(Set(members.all.map(\.number)) == Set(there.keys))
    for (index, member) in members.all.enumerated() { #expect(member.index == index) }
  }

  @Test func `a second removal does nothing`() {
    let (one, two) = (Member(1), Member(2))
    members.add(one)
    members.add(two)
    members.remove(one)
    members.remove(one)
    #expect(members.all.map(\.number) == [2] && two.index == 0)
  }

  @Test func `after a burst the memory goes back`() {
    let many = (0..<50_000).map { Member($0) }
    for member in many { members.add(member) }
    for member in many.dropFirst(10) { members.remove(member) }
    #expect(members.all.count == 10 && members.all.capacity < 10_000)
  }
}
