//go:build !unix && !windows

package plugin

// followHost does nothing: the platform has neither inherited descriptors nor
// processes to watch.
func followHost() error { return nil }
