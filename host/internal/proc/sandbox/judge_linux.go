package sandbox

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// judge knows what the rules of a policy deny, without applying them: like Landlock it has
// for each file the rules of its directories, all the way up, and knows them by number, not
// by name.
type judge struct {
	policy  *Policy
	version int
	handled uint64
	files   map[inode]uint64
	ports   map[uint16]bool
	bound   map[string]bool // abstract sockets of the program
	hidden  []string        // by the policy, without links
	wide    map[string]bool
	isAway  bool // the program has, or may have, another root than the host: paths mean something else
}

// inode identifies a file or directory, by whatever name.
type inode struct{ device, number uint64 }

func newJudge(p *Policy, version int) *judge {
	j := &judge{
		policy: p, version: version, handled: everyAccess(version),
		files: map[inode]uint64{}, ports: map[uint16]bool{}, bound: map[string]bool{}, wide: map[string]bool{},
	}
	for _, hidden := range p.Hidden {
		if resolved, err := filepath.EvalSymlinks(hidden); err == nil {
			j.hidden = append(j.hidden, resolved)
		}
	}
	return j
}

func (j *judge) allowOpen(access uint64, fd int) error {
	access, stat, err := fitting(access, fd)
	if err != nil {
		return err
	}
	j.files[numberOf(&stat)] |= access & j.handled
	return nil
}

func (j *judge) allowPort(port uint16) error {
	j.ports[port] = true
	return nil
}

func numberOf(stat *unix.Stat_t) inode {
	return inode{uint64(stat.Dev), stat.Ino} //nolint:unconvert // Some processors have fewer bits.
}

// limitsPorts reports whether TCP ports are denied.
func (j *judge) limitsPorts() bool { return len(j.policy.Connect) > 0 && j.version >= sinceNetwork }

// place is where a name leads.
type place struct {
	// path has no links in it; of what does not exist it is where it would be.
	path   string
	exists bool
	// isFree says that it is of the kernel's own, in no directory, and so for all.
	isFree bool
	stat   unix.Stat_t // of what exists
	// access is what the rules allow here, and above what they allow in its directory.
	access, above uint64
}

func (p *place) kind() uint32 { return p.stat.Mode & unix.S_IFMT }

func (p *place) dir() string { return filepath.Dir(p.path) }

const (
	mostLinks = 40
	longest   = unix.PathMax
)

// find follows a name as the kernel does for a thread of the program: from its directory,
// through its links and its own directories of /proc. It returns false where the kernel
// finds nothing either.
func (j *judge) find(t thread, dirfd int32, name string, follow bool) (place, bool) {
	if name == "" {
		return place{}, false
	}
	at := []place{j.root()}
	pending := []string{name}
	if !strings.HasPrefix(name, "/") {
		from, ok := t.directory(dirfd)
		if !ok || !strings.HasPrefix(from, "/") {
			return place{}, false
		}
		pending = []string{name, from} // The last one is next.
	}
	for links := 0; len(pending) > 0; {
		rest := pending[len(pending)-1]
		if strings.HasPrefix(rest, "/") {
			at = at[:1]
			rest = strings.TrimLeft(rest, "/")
		}
		first, rest, isMore := strings.Cut(rest, "/")
		if isMore {
			pending[len(pending)-1] = strings.TrimLeft(rest, "/")
		} else {
			pending = pending[:len(pending)-1]
		}
		top := &at[len(at)-1]
		if top.kind() != unix.S_IFDIR {
			return place{}, false
		}
		switch first {
		case "", ".":
			continue
		case "..":
			at = at[:max(1, len(at)-1)]
			continue
		}
		isLast := len(pending) == 0 || len(pending) == 1 && pending[0] == ""
		next := place{path: filepath.Join(top.path, first), above: top.access, access: top.access}
		if len(next.path) >= longest {
			return place{}, false
		}
		switch err := unix.Lstat(next.path, &next.stat); {
		case err == unix.ENOENT && isLast:
			return next, true
		case err != nil:
			return place{}, false
		}
		next.exists = true
		next.access |= j.files[numberOf(&next.stat)]
		if next.kind() != unix.S_IFLNK || isLast && !follow && len(pending) == 0 {
			at = append(at, next)
			continue
		}
		if links++; links > mostLinks {
			return place{}, false
		}
		target, isDirect, ok := t.follow(next.path)
		switch {
		case !ok:
			return place{}, false
		case isDirect && !strings.HasPrefix(target, "/"), isDirect && strings.HasPrefix(target, "/memfd:"):
			return place{path: target, exists: true, isFree: true, stat: unix.Stat_t{Mode: unix.S_IFREG}}, isLast
		case isDirect:
			target = strings.TrimSuffix(target, " (deleted)")
		}
		pending = append(pending, target)
	}
	return at[len(at)-1], true
}

func (j *judge) root() place {
	root := place{path: "/", exists: true}
	if unix.Lstat("/", &root.stat) != nil {
		root.stat.Mode = unix.S_IFDIR
	}
	root.access = j.files[numberOf(&root.stat)]
	root.above = root.access
	return root
}

// denies returns what of an access is denied, given what the rules allow.
func (j *judge) denies(needed, allowed uint64) uint64 { return needed & j.handled &^ allowed }

// may reports whether this user may do that anyway, which is the program's: what it may not
// is no matter of the sandbox.
func may(name string, mode uint32) bool {
	return unix.Faccessat(unix.AT_FDCWD, name, mode, unix.AT_EACCESS) == nil
}

// terminal is looked for by shells and other programs, which do without it.
const terminal = "/dev/tty"

// open judges the opening of a file.
func (j *judge) open(t thread, dirfd int32, name string, flags uint64) []Denial {
	if flags&unix.O_PATH != 0 {
		return nil
	}
	makes := flags&unix.O_CREAT != 0
	found, ok := j.find(t, dirfd, name, flags&unix.O_NOFOLLOW == 0 && (!makes || flags&unix.O_EXCL == 0))
	if !ok || found.isFree || found.path == terminal {
		return nil
	}
	var reads, writes bool
	switch flags & unix.O_ACCMODE {
	case unix.O_RDONLY:
		reads = true
	case unix.O_WRONLY:
		writes = true
	case unix.O_RDWR:
		reads, writes = true, true
	}
	var needed uint64
	var mode uint32
	if reads {
		needed, mode = readFile, unix.R_OK
	}
	if writes {
		needed, mode = needed|unix.LANDLOCK_ACCESS_FS_WRITE_FILE, mode|unix.W_OK
	}
	switch {
	case !found.exists && !makes:
		return nil
	case !found.exists:
		if j.denies(needed|unix.LANDLOCK_ACCESS_FS_MAKE_REG, found.access) == 0 || !may(found.dir(), unix.W_OK|unix.X_OK) {
			return nil
		}
		return j.denial(accessMake, found.path, keyWrite, found.dir(), true)
	case makes && flags&unix.O_EXCL != 0:
		return nil
	case found.kind() == unix.S_IFDIR && flags&unix.O_TMPFILE == unix.O_TMPFILE:
		if j.denies(needed, found.access) == 0 || !may(found.path, unix.W_OK|unix.X_OK) {
			return nil
		}
		return j.denial(accessMake, found.path, keyWrite, found.path, true)
	case found.kind() == unix.S_IFDIR && (writes || makes):
		return nil
	case found.kind() == unix.S_IFDIR:
		needed = unix.LANDLOCK_ACCESS_FS_READ_DIR
	case found.kind() == unix.S_IFLNK || found.kind() == unix.S_IFSOCK || flags&unix.O_DIRECTORY != 0:
		return nil
	case flags&unix.O_TRUNC != 0 && found.kind() == unix.S_IFREG:
		needed |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	denied := j.denies(needed, found.access)
	if denied == 0 || !may(found.path, mode) {
		return nil
	}
	if denied&^readAll != 0 {
		return j.denial(accessWrite, found.path, keyWrite, found.path, false)
	}
	return j.denial(accessRead, found.path, keyRead, found.path, found.kind() == unix.S_IFDIR)
}

// mostInterpreters is how many interpreters of interpreters are looked at.
const mostInterpreters = 4

// execute judges the execution of a file, and of the interpreters that its first line names.
func (j *judge) execute(t thread, dirfd int32, name string, follow bool) []Denial {
	var denied []Denial
	for range mostInterpreters {
		found, ok := j.find(t, dirfd, name, follow)
		if !ok || !found.exists || found.isFree || found.kind() != unix.S_IFREG || !may(found.path, unix.X_OK) {
			return denied
		}
		if j.denies(readFile|unix.LANDLOCK_ACCESS_FS_EXECUTE, found.access) != 0 {
			denied = append(denied, j.denial(accessExecute, found.path, keyRead, found.path, false)...)
		}
		isOthers := found.stat.Mode&unix.S_ISUID != 0 && int(found.stat.Uid) != unix.Geteuid() || found.stat.Mode&unix.S_ISGID != 0 && int(found.stat.Gid) != unix.Getegid()
		if isOthers {
			denied = append(denied, Denial{Access: accessGreater, Object: found.path, Hint: "no program in a sandbox gains privileges; sandbox: off leaves them"})
		}
		if name, ok = interpreter(found.path); !ok {
			return denied
		}
		dirfd, follow = unix.AT_FDCWD, true
	}
	return denied
}

// interpreter is what the first line of a script names, or the loader that a dynamically
// linked program names.
func interpreter(file string) (name string, ok bool) {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return "", false
	}
	defer func() { _ = unix.Close(fd) }()
	const longestLine = 256 // As the kernel has it.
	begin := make([]byte, longestLine)
	n, err := unix.Pread(fd, begin, 0)
	if err != nil {
		return "", false
	}
	line, isScript := strings.CutPrefix(string(begin[:n]), "#!")
	if !isScript {
		return loader(fd, begin[:n])
	}
	line, _, _ = strings.Cut(line, "\n")
	words := strings.Fields(line)
	if len(words) == 0 {
		return "", false
	}
	return words[0], true
}

// loader is what an ELF program of 64 bits names in a header of the type PT_INTERP.
func loader(fd int, begin []byte) (name string, ok bool) {
	const (
		magic      = "\x7fELF\x02\x01" // 64 bits, little-endian, as both processors are
		fileHeader = 64
		header     = 56
		isLoader   = 3
	)
	if len(begin) < fileHeader || !strings.HasPrefix(string(begin), magic) {
		return "", false
	}
	at, count := int64(binary.LittleEndian.Uint64(begin[32:])), binary.LittleEndian.Uint16(begin[56:]) //nolint:gosec // Pread refuses what is below 0.
	one := make([]byte, header)
	for range min(count, 64) {
		if n, err := unix.Pread(fd, one, at); err != nil || n < header {
			return "", false
		}
		if binary.LittleEndian.Uint32(one) == isLoader {
			text := make([]byte, min(binary.LittleEndian.Uint64(one[32:]), longest))
			n, err := unix.Pread(fd, text, int64(binary.LittleEndian.Uint64(one[8:]))) //nolint:gosec // As above.
			text, _, _ = bytes.Cut(text[:max(n, 0)], []byte{0})
			return string(text), err == nil && len(text) > 0
		}
		at += header
	}
	return "", false
}

// makes judges what makes something new, in a directory.
func (j *judge) makes(t thread, dirfd int32, name string, needed uint64) []Denial {
	found, ok := j.find(t, dirfd, name, false)
	if !ok || found.exists || j.denies(needed, found.access) == 0 || !may(found.dir(), unix.W_OK|unix.X_OK) {
		return nil
	}
	if needed == unix.LANDLOCK_ACCESS_FS_MAKE_DIR {
		// What lies beside it is not the program's.
		denied := j.denial(accessMake, found.path, keyWrite, found.path, false)
		if denied[0].Key != "" {
			denied[0].Hint = "make " + found.path + " before the plugin starts: only what is there then is opened"
		}
		return denied
	}
	return j.denial(accessMake, found.path, keyWrite, found.dir(), true)
}

// removes judges the removal of a file or directory.
func (j *judge) removes(t thread, dirfd int32, name string, isDir bool) []Denial {
	found, ok := j.find(t, dirfd, name, false)
	if !ok || !found.exists || isDir != (found.kind() == unix.S_IFDIR) {
		return nil
	}
	if j.denies(removing(&found), found.above) == 0 || !may(found.dir(), unix.W_OK|unix.X_OK) {
		return nil
	}
	return j.denial(accessRemove, found.path, keyWrite, found.dir(), true)
}

func removing(p *place) uint64 {
	if p.kind() == unix.S_IFDIR {
		return unix.LANDLOCK_ACCESS_FS_REMOVE_DIR
	}
	return unix.LANDLOCK_ACCESS_FS_REMOVE_FILE
}

// making is what is needed to make something of that kind.
func making(kind uint32) uint64 {
	switch kind {
	case unix.S_IFDIR:
		return unix.LANDLOCK_ACCESS_FS_MAKE_DIR
	case unix.S_IFLNK:
		return unix.LANDLOCK_ACCESS_FS_MAKE_SYM
	case unix.S_IFSOCK:
		return unix.LANDLOCK_ACCESS_FS_MAKE_SOCK
	case unix.S_IFIFO:
		return unix.LANDLOCK_ACCESS_FS_MAKE_FIFO
	case unix.S_IFCHR:
		return unix.LANDLOCK_ACCESS_FS_MAKE_CHAR
	case unix.S_IFBLK:
		return unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK
	default:
		return unix.LANDLOCK_ACCESS_FS_MAKE_REG
	}
}

// name is a name of a file with the directory that it is seen from.
type name struct {
	dirfd int32
	text  string
}

// moves judges a file that gets another name, or one more if it also keeps the old one.
func (j *judge) moves(t thread, from, to name, keeps, follow bool, flags uint64) []Denial {
	source, ok := j.find(t, from.dirfd, from.text, follow)
	if !ok || !source.exists || source.isFree {
		return nil
	}
	target, ok := j.find(t, to.dirfd, to.text, false)
	if !ok || target.exists && (keeps || flags&unix.RENAME_NOREPLACE != 0) {
		return nil
	}
	exchanges := flags&unix.RENAME_EXCHANGE != 0
	if exchanges && !target.exists {
		return nil
	}
	var ofSource, ofTarget uint64
	ofTarget = making(source.kind())
	if !keeps {
		ofSource = removing(&source)
	}
	if target.exists {
		ofTarget |= removing(&target)
	}
	if exchanges {
		ofSource |= making(target.kind())
	}
	into := target.above
	isElsewhere := source.dir() != target.dir()
	if isElsewhere {
		ofSource |= unix.LANDLOCK_ACCESS_FS_REFER
		ofTarget |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if keeps && !may(target.dir(), unix.W_OK|unix.X_OK) || !keeps && (!may(source.dir(), unix.W_OK|unix.X_OK) || !may(target.dir(), unix.W_OK|unix.X_OK)) {
		return nil
	}
	var denied []Denial
	if j.denies(ofSource, source.above) != 0 {
		denied = append(denied, j.denial(accessMove, source.path, keyWrite, source.dir(), true)...)
	}
	if j.denies(ofTarget, into) != 0 {
		denied = append(denied, j.denial(accessMove, target.path, keyWrite, target.dir(), true)...)
	}
	if len(denied) > 0 || !isElsewhere {
		return denied
	}
	// Nothing may become open by being moved; before Linux 5.19 nothing is moved.
	gained := into &^ source.access
	if source.kind() != unix.S_IFDIR {
		gained &= ofFiles
	}
	if gained != 0 || j.version < sinceRefer {
		return []Denial{{Access: accessMove, Object: source.path + " to " + target.path, Hint: "a program in a sandbox moves nothing to where it has more access to it; it can copy it"}}
	}
	return nil
}

// truncates judges a file that is cut by its name.
func (j *judge) truncates(t thread, name string) []Denial {
	found, ok := j.find(t, unix.AT_FDCWD, name, true)
	if !ok || !found.exists || found.isFree || found.kind() != unix.S_IFREG || j.denies(unix.LANDLOCK_ACCESS_FS_TRUNCATE, found.access) == 0 || !may(found.path, unix.W_OK) {
		return nil
	}
	return j.denial(accessWrite, found.path, keyWrite, found.path, false)
}

// denial is a denial of something at a path, with the key that opens it, unless that would
// open what belongs to others.
func (j *judge) denial(access, object, key, value string, isDir bool) []Denial {
	d := Denial{Access: access, Object: object, Key: key, Value: value}
	switch {
	case j.isHidden(value):
		d.Hint = "it is the host's, and no key should open it"
	case isOfProcess(value):
		d.Hint = "it is of a process, and no key opens it"
	case isDir && j.isWide(value) && access == accessRead:
		d.Hint = value + " belongs to many; most programs do without a list of it"
	case isDir && j.isWide(value):
		d.Hint = value + " belongs to many: let the plugin use a directory of its own, or for its temporary files that of TMPDIR"
	case j.policy.IsNotFor(value):
		d.Hint = "it is not for a plugin, and no key should open it"
	default:
		return []Denial{d}
	}
	d.Key, d.Value = "", ""
	return []Denial{d}
}

// mostKnown is of how many directories the judge remembers whether they belong to many.
const mostKnown = 1000

// isWide reports whether a directory holds more than a plugin should have.
func (j *judge) isWide(dir string) bool {
	isWide, ok := j.wide[dir]
	if !ok {
		if len(j.wide) >= mostKnown {
			clear(j.wide)
		}
		isWide = j.policy.isTooWide(dir)
		j.wide[dir] = isWide
	}
	return isWide
}

func (j *judge) isHidden(file string) bool {
	return slices.ContainsFunc(j.hidden, func(hidden string) bool { return isBelow(file, hidden) })
}

// isOfProcess reports whether a path is in the directory of a process.
func isOfProcess(file string) bool {
	process, isProc := strings.CutPrefix(file, "/proc/")
	return isProc && process != "" && '0' <= process[0] && process[0] <= '9'
}
