//go:build !amd64 && !arm64

package sandbox

// architecture is 0 where there is no filter: it is not tested on this processor.
const architecture = 0

var refusedHere []uint32
