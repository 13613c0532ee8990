package aggregate

import (
	"hash/maphash"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
)

// fingerprint stands for the identity of a resource or another row: 16 bytes in place
// of strings. That two of one sync are equal by chance is not to be expected (for a
// million resources, 1 in 10^26).
type fingerprint [2]uint64

var fingerprintSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func fingerprintOf[T comparable](this T) fingerprint {
	return fingerprint{maphash.Comparable(fingerprintSeeds[0], this), maphash.Comparable(fingerprintSeeds[1], this)}
}

func resourcePrint(id *v2.ResourceId) fingerprint {
	type identity struct{ resourceType, resource string }
	return fingerprintOf(identity{id.GetResourceType(), id.GetResource()})
}
