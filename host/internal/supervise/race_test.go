//go:build race

package supervise_test

import "time"

// mayOutlive is how long a process may be left when its host has been killed: here
// its end is also a matter of how busy the machine is with everything else.
const mayOutlive = 20 * time.Second
