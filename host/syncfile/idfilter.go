package syncfile

import (
	"hash/maphash"
	"sync/atomic"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
)

// idFilter knows which resources it certainly has not seen, in 2 MiB however many
// there are (a Bloom filter). Of those it has not seen it takes one in a hundred for
// seen among a million, and half among ten million.
type idFilter struct {
	seed maphash.Seed
	bits []atomic.Uint64
}

const (
	filterBits = 1 << 24
	wordBits   = 64
)

func newIDFilter() *idFilter {
	return &idFilter{seed: maphash.MakeSeed(), bits: make([]atomic.Uint64, filterBits/wordBits)}
}

func (f *idFilter) add(id *connectorv2.ResourceId) {
	first, second := f.places(id)
	f.bits[first/wordBits].Or(1 << (first % wordBits))
	f.bits[second/wordBits].Or(1 << (second % wordBits))
}

// mayHave is false only for a resource that was never added.
func (f *idFilter) mayHave(id *connectorv2.ResourceId) bool {
	first, second := f.places(id)
	return f.bits[first/wordBits].Load()>>(first%wordBits)&1 == 1 &&
		f.bits[second/wordBits].Load()>>(second%wordBits)&1 == 1
}

// places are two bits for an id. That of "a"+"bc" and "ab"+"c" are the same, and may
// be: it costs a look into the store.
func (f *idFilter) places(id *connectorv2.ResourceId) (first, second uint64) {
	var hash maphash.Hash
	hash.SetSeed(f.seed)
	_, _ = hash.WriteString(id.GetResourceType())
	_, _ = hash.WriteString(id.GetResource())
	sum := hash.Sum64()
	return sum % filterBits, sum >> 32 % filterBits
}
