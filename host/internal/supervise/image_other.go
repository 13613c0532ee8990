//go:build !linux

package supervise

// imageOf copies the executable to where nobody else can change it.
func imageOf(spec Spec, path, dir string) (*image, error) { return copied(spec, path, dir) }
