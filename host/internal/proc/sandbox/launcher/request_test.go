package launcher

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRequest_ArrivesWhole(t *testing.T) {
	t.Parallel()
	sent := Request{
		Path: "/bin/true", Args: []string{"true", "", "ü\x00"}, HasRuleset: true, RestrictFlags: 2, SelfAccess: 12,
		DropCapabilities: []uint32{21, 8}, MaxFileSize: 1<<40 + 3, MaxFiles: 5<<32 + 1, SeccompCall: 317, Filter: []byte{1, 0, 2, 3, 4, 5, 6, 7},
		OnlyObserve: true, Observed: []byte{7, 6},
	}
	encoded := sent.Encode()
	received, ok := decode(encoded)
	require.True(t, ok)
	require.Equal(t, sent, received)
	for n := range encoded {
		_, ok := decode(encoded[:n])
		require.False(t, ok, "cut after %d bytes", n)
	}
	_, ok = decode([]byte("PATH=/bin"))
	require.False(t, ok)
}

func TestDecodeFailure_ReturnsStepAndError(t *testing.T) {
	t.Parallel()
	step, errno := DecodeFailure(appendNumber([]byte{byte(Execute)}, 2))
	require.Equal(t, Execute, step)
	require.EqualValues(t, 2, errno)
	for step := ReadRequest; step <= Execute; step++ {
		require.NotEqual(t, Step(0).String(), step.String())
	}
}
