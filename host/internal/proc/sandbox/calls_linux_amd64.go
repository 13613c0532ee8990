package sandbox

import "golang.org/x/sys/unix"

// observedHere are calls of this processor that have newer ones in their place.
var observedHere = []uint32{
	unix.SYS_OPEN, unix.SYS_CREAT, unix.SYS_MKDIR, unix.SYS_MKNOD, unix.SYS_RMDIR, unix.SYS_UNLINK,
	unix.SYS_RENAME, unix.SYS_RENAMEAT, unix.SYS_LINK, unix.SYS_SYMLINK,
}

// newer is a call as the newer one that does the same.
func newer(call uint32, a [6]uint64) (uint32, [6]uint64) {
	const here = uint64(1<<64 + unix.AT_FDCWD)
	switch call {
	case unix.SYS_OPEN:
		return unix.SYS_OPENAT, [6]uint64{here, a[0], a[1], a[2]}
	case unix.SYS_CREAT:
		return unix.SYS_OPENAT, [6]uint64{here, a[0], unix.O_CREAT | unix.O_WRONLY | unix.O_TRUNC, a[1]}
	case unix.SYS_MKDIR:
		return unix.SYS_MKDIRAT, [6]uint64{here, a[0], a[1]}
	case unix.SYS_MKNOD:
		return unix.SYS_MKNODAT, [6]uint64{here, a[0], a[1], a[2]}
	case unix.SYS_RMDIR:
		return unix.SYS_UNLINKAT, [6]uint64{here, a[0], unix.AT_REMOVEDIR}
	case unix.SYS_UNLINK:
		return unix.SYS_UNLINKAT, [6]uint64{here, a[0]}
	case unix.SYS_RENAME:
		return unix.SYS_RENAMEAT2, [6]uint64{here, a[0], here, a[1]}
	case unix.SYS_RENAMEAT:
		return unix.SYS_RENAMEAT2, [6]uint64{a[0], a[1], a[2], a[3]}
	case unix.SYS_LINK:
		return unix.SYS_LINKAT, [6]uint64{here, a[0], here, a[1]}
	case unix.SYS_SYMLINK:
		return unix.SYS_SYMLINKAT, [6]uint64{a[0], here, a[1]}
	}
	return call, a
}
