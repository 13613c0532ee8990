//go:build !race

package supervise_test

import "time"

// mayOutlive is how long a process may be left when its host has been killed.
const mayOutlive = 2 * time.Second

const raced = false
