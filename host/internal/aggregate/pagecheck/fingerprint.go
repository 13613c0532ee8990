package pagecheck

import (
	"hash/maphash"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
)

// Fingerprint stands for the identity of a resource or another row: 16 bytes in place
// of strings. That two of one sync are equal by chance is not to be expected (for a
// million resources, 1 in 10^26).
type Fingerprint [2]uint64

var fingerprintSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// FingerprintOf returns the fingerprint of an identity.
func FingerprintOf[T comparable](this T) Fingerprint {
	return Fingerprint{maphash.Comparable(fingerprintSeeds[0], this), maphash.Comparable(fingerprintSeeds[1], this)}
}

// PrintOfResource returns the fingerprint of a resource.
func PrintOfResource(id *v2.ResourceId) Fingerprint {
	type identity struct{ resourceType, resource string }
	return FingerprintOf(identity{id.GetResourceType(), id.GetResource()})
}
