package sdkfast

import (
	"hash/maphash"
	"sync/atomic"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
)

// idFilter knows which resources it certainly has not seen, in 2 MiB however many
// there are (a Bloom filter). Of those it has not seen it takes one in a thousand for
// seen among a million, and four in five among ten million.
type idFilter struct {
	seed maphash.Seed
	bits []atomic.Uint64
}

const (
	filterBits = 1 << 24
	wordBits   = 64
	// filterPlaces is how many bits an id sets. With more, fewer are taken for seen
	// among a million, and more among several millions.
	filterPlaces = 6
)

func newIDFilter() *idFilter {
	return &idFilter{seed: maphash.MakeSeed(), bits: make([]atomic.Uint64, filterBits/wordBits)}
}

func (f *idFilter) add(id *connectorv2.ResourceId) {
	place, step := f.places(id)
	for range filterPlaces {
		f.bits[place%filterBits/wordBits].Or(1 << (place % wordBits))
		place += step
	}
}

// mayHave is false only for a resource that was never added.
func (f *idFilter) mayHave(id *connectorv2.ResourceId) bool {
	place, step := f.places(id)
	for range filterPlaces {
		if f.bits[place%filterBits/wordBits].Load()>>(place%wordBits)&1 == 0 {
			return false
		}
		place += step
	}
	return true
}

// places are the first place of an id and the step to each further one. Those of
// "a"+"bc" and "ab"+"c" are the same, and may be: it costs a look into the store.
func (f *idFilter) places(id *connectorv2.ResourceId) (first, step uint64) {
	var hash maphash.Hash
	hash.SetSeed(f.seed)
	_, _ = hash.WriteString(id.GetResourceType())
	_, _ = hash.WriteString(id.GetResource())
	sum := hash.Sum64()
	return sum, sum>>32 | 1 // An odd step comes to every place.
}
