//go:build unix && !linux

package plugin

// followHost ends the plugin with its host, and not before.
func followHost() error {
	outliveSignals()
	return followLifeline()
}
