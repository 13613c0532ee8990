package registry

// Step is what an installation does at a time.
type Step string

// The steps, in their order. Those that are not needed are left out.
const (
	// Resolving asks what a version or a tag is.
	Resolving Step = "resolving"
	// Waiting lets another process end, which installs the same.
	Waiting Step = "waiting for another installation"
	// Downloading fetches the archive, or a layer of the image.
	Downloading Step = "downloading"
	// Verifying checks signatures and sums.
	Verifying Step = "verifying"
	// Unpacking writes the binary.
	Unpacking Step = "unpacking"
)

// Event is the progress of an installation.
type Event struct {
	Step Step
	// Done and Total are bytes, while something is downloaded or unpacked. Total is 0 where it
	// is not known.
	Done, Total int64
}

// Progress is called with each event, by one goroutine at a time. It must return quickly.
type Progress func(Event)
