//go:build !amd64 && !arm64

package sandbox

var observedHere []uint32

// newer is the call: nothing is observed on this processor.
func newer(call uint32, a [6]uint64) (uint32, [6]uint64) { return call, a }
