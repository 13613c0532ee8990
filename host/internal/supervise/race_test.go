//go:build race

package supervise_test

import "time"

// mayOutlive is how long a process may be left when its host has been killed: here
// its end is also a matter of how busy the machine is with everything else.
const mayOutlive = 20 * time.Second

// raced makes TestMain build the plugins once more, without the race detector: with it,
// each takes three times as long to start. It is the host that these tests race; package
// plugin races the plugin's side.
const raced = true
