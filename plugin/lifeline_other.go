//go:build !unix

package plugin

// followLifeline does nothing: the platform has no inherited descriptors.
func followLifeline() error { return nil }
