package launcher

import (
	"syscall"
	"unsafe"
)

// Numbers of the kernel that package syscall does not have; they are the same on every
// processor.
const (
	callAddRule      = 445 // landlock_add_rule
	callRestrictSelf = 446 // landlock_restrict_self
	rulePathBeneath  = 1   // LANDLOCK_RULE_PATH_BENEATH
	openPathOnly     = 0x200000
	noNewPrivileges  = 38 // PR_SET_NO_NEW_PRIVS
	dropFromBounding = 24 // PR_CAPBSET_DROP
	modeFilter       = 1  // SECCOMP_SET_MODE_FILTER
	allowSpeculation = 4  // SECCOMP_FILTER_FLAG_SPEC_ALLOW: else old kernels slow the program down.
	failedStatus     = 127
)

// The main goroutine is locked to the process's first thread until initialization has
// ended: what is restricted below is the thread that executes the program, and the others
// end with that.
func init() {
	text, ok := syscall.Getenv(Env)
	if !ok {
		return
	}
	from, ok := parse(text)
	if !ok {
		return // A person has set it.
	}
	request, ok := read(from)
	if !ok {
		return
	}
	failures := from + 1
	syscall.CloseOnExec(failures)
	_ = syscall.Close(from)
	step, errno := run(request, from+2)
	failure := appendNumber([]byte{byte(step)}, uint32(errno)) //nolint:gosec // Errors are small numbers.
	_, _ = syscall.Write(failures, failure)
	syscall.Exit(failedStatus)
}

func parse(text string) (fd int, ok bool) {
	const mostDescriptor = 1 << 20
	for _, digit := range []byte(text) {
		if digit < '0' || digit > '9' || fd > mostDescriptor {
			return 0, false
		}
		fd = fd*10 + int(digit-'0')
	}
	return fd, fd > 2
}

// read reads a request to the end of its pipe.
func read(fd int) (Request, bool) {
	var stat syscall.Stat_t
	if syscall.Fstat(fd, &stat) != nil || stat.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return Request{}, false
	}
	var encoded []byte
	buffer := make([]byte, 8<<10)
	for {
		n, err := syscall.Read(fd, buffer)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return Request{}, false
		case n == 0:
			return decode(encoded)
		}
		encoded = append(encoded, buffer[:n]...)
	}
}

// run returns only if it fails.
func run(r Request, next int) (Step, syscall.Errno) {
	if !r.OnlyObserve {
		if step, errno := restrict(r, next); errno != 0 {
			return step, errno
		}
	}
	if r.HasRuleset {
		next++
	}
	if len(r.Observed) > 0 {
		if errno := observe(r, next); errno != 0 {
			return Observe, errno
		}
	}
	_ = syscall.Unsetenv(Env)
	err := syscall.Exec(r.Path, r.Args, syscall.Environ()) //nolint:gosec // What the host was configured to start.
	errno, _ := err.(syscall.Errno)                        //nolint:errorlint // As above; Exec returns nothing else.
	if errno == 0 {
		errno = syscall.EINVAL
	}
	return Execute, errno
}

func restrict(r Request, ruleset int) (Step, syscall.Errno) {
	if errno := limit(r); errno != 0 {
		return SetLimits, errno
	}
	// Not the permitted ones: execve computes them from the bounding set, and a thread
	// that gains some by it loses its parent-death signal.
	for _, capability := range r.DropCapabilities {
		if errno := prctl(dropFromBounding, uintptr(capability), 0); errno != 0 && errno != syscall.EINVAL { // EINVAL: one of a newer kernel.
			return DropCapabilities, errno
		}
	}
	if errno := prctl(noNewPrivileges, 1, 0); errno != 0 {
		return ForbidPrivileges, errno
	}
	if r.HasRuleset {
		if errno := restrictFiles(r, ruleset); errno != 0 {
			return RestrictFiles, errno
		}
	}
	if len(r.Filter) > 0 {
		program := struct {
			length  uint16
			filters *byte
		}{uint16(len(r.Filter) / 8), &r.Filter[0]} //nolint:gosec // The kernel takes 4096 instructions.
		_, _, errno := syscall.RawSyscall(uintptr(r.SeccompCall), modeFilter, allowSpeculation, uintptr(unsafe.Pointer(&program))) //nolint:gosec // The kernel reads it.
		if errno != 0 {
			return RestrictCalls, errno
		}
	}
	return 0, 0
}

// restrictFiles adds to the ruleset what could not be known before: which directory of
// /proc is that of this process.
func restrictFiles(r Request, ruleset int) syscall.Errno {
	self, err := syscall.Open("/proc/self", openPathOnly|syscall.O_CLOEXEC, 0)
	if err == nil {
		rule := struct {
			access uint64
			parent int32
		}{uint64(r.SelfAccess), int32(self)} //nolint:gosec // It is a descriptor.
		_, _, errno := syscall.RawSyscall6(callAddRule, uintptr(ruleset), rulePathBeneath, uintptr(unsafe.Pointer(&rule)), 0, 0, 0) //nolint:gosec // The kernel reads it.
		if errno != 0 {
			return errno
		}
		_ = syscall.Close(self)
	}
	_, _, errno := syscall.RawSyscall(callRestrictSelf, uintptr(ruleset), uintptr(r.RestrictFlags), 0)
	_ = syscall.Close(ruleset)
	return errno
}

func prctl(option, a, b uintptr) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, option, a, b, 0, 0, 0)
	return errno
}
