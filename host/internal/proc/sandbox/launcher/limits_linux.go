package launcher

import "syscall"

// usualFiles is how many open files a program may have if it does not raise that itself, as
// Go, Node and Java do: some libraries cannot use descriptors beyond it.
const usualFiles = 1024

// limit limits what the program and its children can take of the system, for good.
func limit(r Request) syscall.Errno {
	for _, one := range []struct {
		resource  int
		soft, top uint64
	}{
		{syscall.RLIMIT_CORE, 0, 0},
		{syscall.RLIMIT_FSIZE, r.MaxFileSize, r.MaxFileSize},
		{syscall.RLIMIT_NOFILE, min(usualFiles, r.MaxFiles), r.MaxFiles},
	} {
		var now syscall.Rlimit
		if syscall.Getrlimit(one.resource, &now) != nil {
			return syscall.EINVAL
		}
		// One that is lower stays. By the function of the package and not by the call alone:
		// else the package puts the limit on open files back where it was before it executes
		// the program.
		if err := syscall.Setrlimit(one.resource, &syscall.Rlimit{Cur: min(now.Cur, one.soft), Max: min(now.Max, one.top)}); err != nil {
			errno, _ := err.(syscall.Errno) //nolint:errorlint // It returns nothing else.
			return errno
		}
	}
	return 0
}
