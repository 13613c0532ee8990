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

func (f *idFilter) add(id *connectorv2.ResourceId) { f.addMark(f.mark(id)) }

func (f *idFilter) addMark(place uint64) {
	step := stepOf(place)
	for range filterPlaces {
		f.bits[place%filterBits/wordBits].Or(1 << (place % wordBits))
		place += step
	}
}

// mayHave is false only for a resource that was never added.
func (f *idFilter) mayHave(id *connectorv2.ResourceId) bool { return f.mayHaveMark(f.mark(id)) }

func (f *idFilter) mayHaveMark(place uint64) bool {
	step := stepOf(place)
	for range filterPlaces {
		if f.bits[place%filterBits/wordBits].Load()>>(place%wordBits)&1 == 0 {
			return false
		}
		place += step
	}
	return true
}

// mark is where an id begins to set its bits. Those of "a"+"bc" and "ab"+"c" are the
// same, and may be: it costs a look into the store.
func (f *idFilter) mark(id *connectorv2.ResourceId) uint64 {
	var hash maphash.Hash
	hash.SetSeed(f.seed)
	_, _ = hash.WriteString(id.GetResourceType())
	_, _ = hash.WriteString(id.GetResource())
	return hash.Sum64()
}

// stepOf is the step from the first place of an id to each further one. An odd one comes
// to every place.
func stepOf(mark uint64) uint64 { return mark>>32 | 1 }

// grantFilter knows which grants it certainly has not seen, in 2 MiB for each million: where
// one filter has as many as it distinguishes well, another begins. One in a thousand of
// those that it has not seen it takes for seen, for each million that it has.
type grantFilter struct {
	filters []*idFilter
	last    int // how many are in the last one
}

// filterFull is how many entries a filter of the chain has before the next one begins.
const filterFull = 1 << 20

// addNew adds a grant. It returns false if that may have been added before.
func (f *grantFilter) addNew(grant *connectorv2.Grant) bool {
	if len(f.filters) == 0 || f.last == filterFull {
		f.filters, f.last = append(f.filters, newIDFilter()), 0
	}
	mark := f.mark(grant)
	for _, filter := range f.filters {
		if filter.mayHaveMark(mark) {
			return false
		}
	}
	f.filters[len(f.filters)-1].addMark(mark)
	f.last++
	return true
}

// mark is of what the engine distinguishes grants by (baton-sdk v0.25.0, grantIdentity):
// their entitlement and its resource, and their principal.
func (f *grantFilter) mark(grant *connectorv2.Grant) uint64 {
	entitlement := grant.GetEntitlement()
	resource, principal := entitlement.GetResource().GetId(), grant.GetPrincipal().GetId()
	var hash maphash.Hash
	hash.SetSeed(f.filters[0].seed)
	for _, part := range [...]string{
		resource.GetResourceType(), resource.GetResource(), entitlement.GetId(), principal.GetResourceType(), principal.GetResource(),
	} {
		_, _ = hash.WriteString(part)
		_ = hash.WriteByte(0)
	}
	return hash.Sum64()
}
