package launcher

// Env names the variable by which an executable knows that it is a launcher: the number of
// the descriptor from which it reads its request. The one after it takes the failure, and
// the one after that is the ruleset of Landlock, where there is one. The next takes the
// listener by which the host observes the program, where it does.
const Env = "BATON_HOST_LAUNCH"

// Request is what a launcher does.
type Request struct {
	// Path is the program that it executes, with Args, of which the first is its name.
	Path string
	Args []string
	// HasRuleset says that there is a ruleset of Landlock; RestrictFlags are those of
	// landlock_restrict_self, and SelfAccess is what the program may do with its own
	// directory of /proc.
	HasRuleset    bool
	RestrictFlags uint32
	SelfAccess    uint32
	// DropCapabilities are the numbers of the capabilities that the program and its
	// children can never have.
	DropCapabilities []uint32
	// MaxFileSize is the size in bytes of the greatest file that it can write, and MaxFiles
	// is how many it can have open.
	MaxFileSize, MaxFiles uint64
	// SeccompCall is the number of the system call that takes the Filter, which is in the
	// form of the kernel; an empty one is not applied.
	SeccompCall uint32
	Filter      []byte
	// OnlyObserve applies nothing of the above.
	OnlyObserve bool
	// Observed is the filter of the calls that the host is to see; an empty one shows none.
	Observed []byte
}

// magic begins a request: the variable alone, set by a person, starts nothing.
const magic = "baton-host launch 1\n"

// Encode returns the request as a launcher reads it.
func (r Request) Encode() []byte {
	to := []byte(magic)
	to = appendText(to, r.Path)
	to = appendNumber(to, uint32(len(r.Args))) //nolint:gosec // The system takes fewer arguments.
	for _, arg := range r.Args {
		to = appendText(to, arg)
	}
	hasRuleset := uint32(0)
	if r.HasRuleset {
		hasRuleset = 1
	}
	to = appendNumber(to, hasRuleset)
	to = appendNumber(to, r.RestrictFlags)
	to = appendNumber(to, r.SelfAccess)
	to = appendNumber(to, uint32(len(r.DropCapabilities))) //nolint:gosec // There are 41.
	for _, capability := range r.DropCapabilities {
		to = appendNumber(to, capability)
	}
	for _, limit := range []uint64{r.MaxFileSize, r.MaxFiles} {
		to = appendNumber(to, uint32(limit>>32))
		to = appendNumber(to, uint32(limit)) //nolint:gosec // It is the lower half.
	}
	to = appendNumber(to, r.SeccompCall)
	to = appendText(to, string(r.Filter))
	onlyObserve := uint32(0)
	if r.OnlyObserve {
		onlyObserve = 1
	}
	to = appendNumber(to, onlyObserve)
	return appendText(to, string(r.Observed))
}

func appendNumber(to []byte, n uint32) []byte {
	return append(to, byte(n), byte(n>>8), byte(n>>16), byte(n>>24)) //nolint:gosec // One byte of it after the other.
}

func appendText(to []byte, text string) []byte {
	return append(appendNumber(to, uint32(len(text))), text...) //nolint:gosec // The system takes no such text.
}

// decoder reads what Encode wrote.
type decoder struct {
	rest   []byte
	broken bool
}

func (d *decoder) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(d.rest)) {
		d.broken, d.rest = true, nil
		return nil
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) number() uint32 {
	b := d.bytes(4)
	if d.broken {
		return 0
	}
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func (d *decoder) text() string { return string(d.bytes(d.number())) }

// decode reads a request; ok is false where it is none.
func decode(encoded []byte) (r Request, ok bool) {
	d := decoder{rest: encoded}
	if string(d.bytes(uint32(len(magic)))) != magic {
		return r, false
	}
	r.Path = d.text()
	for n := d.number(); n > 0 && !d.broken; n-- {
		r.Args = append(r.Args, d.text())
	}
	r.HasRuleset = d.number() == 1
	r.RestrictFlags = d.number()
	r.SelfAccess = d.number()
	for n := d.number(); n > 0 && !d.broken; n-- {
		r.DropCapabilities = append(r.DropCapabilities, d.number())
	}
	r.MaxFileSize = uint64(d.number())<<32 | uint64(d.number())
	r.MaxFiles = uint64(d.number())<<32 | uint64(d.number())
	r.SeccompCall = d.number()
	r.Filter = d.bytes(d.number())
	r.OnlyObserve = d.number() == 1
	r.Observed = d.bytes(d.number())
	return r, !d.broken
}

// Step is what a launcher failed at.
type Step byte

// The steps, in their order. A launcher that executes the program writes none.
const (
	ReadRequest Step = iota + 1
	SetLimits
	DropCapabilities
	ForbidPrivileges
	RestrictFiles
	RestrictCalls
	Observe
	Execute
)

// String returns the step as a part of a sentence.
func (s Step) String() string {
	switch s {
	case ReadRequest:
		return "read the request"
	case SetLimits:
		return "set its limits"
	case DropCapabilities:
		return "drop its capabilities"
	case ForbidPrivileges:
		return "set no_new_privs"
	case RestrictFiles:
		return "apply Landlock"
	case RestrictCalls:
		return "apply seccomp"
	case Observe:
		return "observe it"
	case Execute:
		return "execute it"
	default:
		return "do what it should"
	}
}

// FailureSize is the size of a failure as a launcher writes it: the step, and the number of
// the system's error.
const FailureSize = 5

// DecodeFailure reads a failure.
func DecodeFailure(from []byte) (step Step, errno uint32) {
	d := decoder{rest: from[1:]}
	return Step(from[0]), d.number()
}
