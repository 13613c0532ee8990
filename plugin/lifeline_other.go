//go:build !unix && !windows

package plugin

// followLifeline does nothing: the platform has neither inherited descriptors nor
// processes to watch.
func followLifeline() error { return nil }
