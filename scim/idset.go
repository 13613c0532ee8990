package scim

import "hash/maphash"

const (
	// idShards bounds what growing costs: one shard at a time has both its old
	// and its new slots.
	idShards = 64
	// idPassBits are the lowest bits of a slot: the pass that saw the id last.
	idPassBits = 3
	idPassMask = 1<<idPassBits - 1
)

// idSet knows which ids were read, and in which pass last, at 8 bytes a slot
// and at most 16 bytes an id (besides some 4 KiB).
//
// Of an id it keeps 61 bits of a hash. Two ids that share them would be taken
// for one, and in a confirming pass an account that was missed would not be
// delivered. Among a million ids that happens once in four million listings;
// and since the hash has a new seed in each process, no server can bring it
// about, and the next sync has another seed.
type idSet struct {
	seed   maphash.Seed
	shards [idShards]idShard
	ids    int
}

// idShard is an open-addressed hash table. A slot is a hash with the pass in its
// lowest bits; passes count from 1, so that no slot in use is 0.
type idShard struct {
	slots []uint64
	used  int
}

func newIDSet() *idSet { return &idSet{seed: maphash.MakeSeed()} }

// pass returns the pass in which an id was seen last; 0 for never.
func (s *idSet) pass(id string) int {
	hash := maphash.String(s.seed, id)
	shard := &s.shards[hash>>58]
	if len(shard.slots) == 0 {
		return 0
	}
	return int(shard.slots[shard.find(hash)] & idPassMask)
}

// add notes that an id was seen in a pass.
func (s *idSet) add(id string, pass int) {
	hash := maphash.String(s.seed, id)
	shard := &s.shards[hash>>58]
	// A table is between 5/9 and 5/6 full.
	if shard.used*6 >= len(shard.slots)*5 {
		shard.grow()
	}
	at := shard.find(hash)
	if shard.slots[at] == 0 {
		shard.used++
		s.ids++
	}
	shard.slots[at] = hash&^idPassMask | uint64(pass&idPassMask)
}

// find is the slot of a hash, or the free one where it belongs.
func (s *idShard) find(hash uint64) int {
	// The highest bits choose the shard; the others, shifted up, the slot.
	size := uint64(len(s.slots))
	at := (hash << 6 >> 32) * size >> 32
	for s.slots[at] != 0 && (s.slots[at]^hash)&^idPassMask != 0 {
		if at++; at == size {
			at = 0
		}
	}
	return int(at)
}

func (s *idShard) grow() {
	old := s.slots
	s.slots = make([]uint64, max(8, len(old)*3/2))
	for _, slot := range old {
		if slot != 0 {
			s.slots[s.find(slot)] = slot
		}
	}
}
