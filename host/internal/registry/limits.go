package registry

import "time"

// limits bound what a server, or an archive, can make an installation do.
type limits struct {
	// document is the greatest size of a manifest, a bundle or an index.
	document int64
	// archive is the greatest size of an archive or a layer, as it is transferred.
	archive int64
	// binary is the greatest size of a connector.
	binary int64
	// unpacked is how much of an archive is decompressed at most, whatever it is.
	unpacked int64
	// entries is how many files an archive has at most.
	entries int
	// pace and within are the fewest bytes of a transfer in a time: a transfer as a whole may
	// take as long as it needs.
	pace   int64
	within time.Duration
	// answer is how long a server may take to begin.
	answer time.Duration
}

// usual are the limits outside of tests. The largest connectors have 150 MB.
var usual = limits{
	document: 4 << 20,
	archive:  1 << 30,
	binary:   1 << 30,
	unpacked: 2 << 30,
	entries:  100_000,
	pace:     32 << 10,
	within:   30 * time.Second,
	answer:   30 * time.Second,
}
