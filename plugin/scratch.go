package plugin

import "os"

// ScratchEnv names the environment variable with a plugin's scratch directory.
const ScratchEnv = "BATON_PLUGIN_SCRATCH_DIR"

// ScratchDir is a directory of this plugin instance alone, which only its user
// can enter. It is there for as long as the host runs the plugin, so that a
// process that the host starts in the place of one that ended finds what that
// one left; the host removes it afterwards. It is "" stand-alone, and under hosts
// that give none: a connector must do without.
//
// No secret may be left in it.
func ScratchDir() string {
	if !startedByHost() {
		return ""
	}
	return os.Getenv(ScratchEnv)
}
