package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Access to files and directories, in the words of Landlock.
const (
	readFile    = unix.LANDLOCK_ACCESS_FS_READ_FILE
	readAll     = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR
	readExecute = readAll | unix.LANDLOCK_ACCESS_FS_EXECUTE
	writeFile   = readFile | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	writeAll    = readAll | writeFile | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER | resolveUnix
	// ofFiles is what a rule for a file can have; the rest is for directories.
	ofFiles = readFile | unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_IOCTL_DEV | resolveUnix
)

// everyAccess is what Landlock of a version can deny in files and directories.
func everyAccess(version int) uint64 {
	every := uint64(unix.LANDLOCK_ACCESS_FS_MAKE_SYM)<<1 - 1
	if version >= sinceRefer {
		every |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= sinceTruncate {
		every |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version >= sinceDevices {
		every |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if version >= sincePathSockets {
		every |= resolveUnix
	}
	return every
}

// Paths that every program may use, where they exist.
var (
	// programs are the programs and libraries of the system.
	programs = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}
	// settings are how the system finds names, users, certificates and the time.
	settings = []string{
		"/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/crypto-policies", "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/gai.conf", "/etc/nsswitch.conf",
		"/etc/networks", "/etc/passwd", "/etc/group", "/etc/localtime", "/etc/timezone", "/etc/services", "/etc/protocols", "/etc/mime.types", "/etc/locale.alias",
		// What libraries of LDAP and TLS trust is in these: without them, LDAPS fails.
		"/etc/ldap/ldap.conf", "/etc/openldap/ldap.conf", "/etc/gnutls",
		// What the module of SSSD has found of users and groups.
		"/var/lib/sss/mc",
		"/etc/os-release", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload",
		// Where resolv.conf is a link, what it leads to is replaced, not written.
		"/run/systemd/resolve",
	}
	// system is what runtimes ask of the machine. Nothing in it is of one process.
	system = []string{
		"/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/loadavg", "/proc/uptime", "/proc/version", "/proc/filesystems", "/proc/sys",
		"/sys/devices/system/cpu", "/sys/kernel/mm/transparent_hugepage",
	}
	devices         = []string{"/dev/zero", "/dev/random", "/dev/urandom"}
	writableDevices = []string{"/dev/null", "/dev/full"}
)

// selfAccess is what a program may do in its own directory of /proc. It must not write
// there: the mem of its own is that of a program that was verified.
const selfAccess = readAll

// held are the entries of /proc that every program may read, kept open: the kernel drops
// entries that nothing uses and makes new ones, for which no rule holds.
var held = sync.OnceValue(func() []int {
	var open []int
	for _, path := range system {
		if fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0); err == nil {
			open = append(open, fd)
		}
	}
	return open
})

// landlockVersion is that of the kernel, 0 where it has none or may not be used.
var landlockVersion = sync.OnceValue(func() int {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return min(int(version), newest)
})

// ruleset is a ruleset of Landlock that is being made.
type ruleset struct {
	*os.File
	handled uint64
	version int
}

func newRuleset(version int, connect bool) (*ruleset, error) {
	attr := unix.LandlockRulesetAttr{Access_fs: everyAccess(version)}
	size := unsafe.Sizeof(attr.Access_fs)
	if version >= sinceNetwork {
		size += unsafe.Sizeof(attr.Access_net)
		if connect {
			attr.Access_net = unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
		}
	}
	if version >= sinceScopes {
		size += unsafe.Sizeof(attr.Scoped)
		attr.Scoped = unix.LANDLOCK_SCOPE_SIGNAL | unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0) //nolint:gosec // The kernel reads it.
	if errno != 0 {
		return nil, fmt.Errorf("make a ruleset of Landlock: %w", errno)
	}
	return &ruleset{os.NewFile(fd, "ruleset"), attr.Access_fs, version}, nil
}

// rules is what the rules of a policy are added to: a ruleset of the kernel, which applies
// them, or a [judge], which knows what they would deny.
type rules interface {
	// allowOpen adds a rule for an open file or directory, with all below it.
	allowOpen(access uint64, fd int) error
	// allowPort adds a rule for a TCP port.
	allowPort(port uint16) error
}

// allow adds a rule for each path that exists.
func allow(into rules, access uint64, paths ...string) error {
	for _, path := range paths {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM) {
			return fmt.Errorf("open %s: %w", path, err) // It is there, and is missed later.
		}
		if err != nil {
			continue // What is not there, or cannot be reached by this user, needs no rule.
		}
		err = into.allowOpen(access, fd)
		_ = unix.Close(fd)
		if err != nil {
			return fmt.Errorf("allow %s: %w", path, err)
		}
	}
	return nil
}

// fitting is what of an access a rule for an open file or directory can have.
func fitting(access uint64, fd int) (fits uint64, stat unix.Stat_t, err error) {
	if err := unix.Fstat(fd, &stat); err != nil {
		return 0, stat, err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= ofFiles
	}
	return access, stat, nil
}

func (r *ruleset) allowOpen(access uint64, fd int) error {
	access, _, err := fitting(access, fd)
	if err != nil {
		return err
	}
	if access &= r.handled; access == 0 {
		return nil // Nothing of it is denied.
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}                                                         //nolint:gosec // It is a descriptor.
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, r.Fd(), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0) //nolint:gosec // The kernel reads it.
	if errno == unix.EBADFD || errno == unix.EINVAL {
		return nil // A file of the kernel's own, for which there are no rules.
	}
	if errno != 0 {
		return errno
	}
	return nil
}

// allowPort adds a rule for a TCP port (struct landlock_net_port_attr).
func (r *ruleset) allowPort(port uint16) error {
	if r.version < sinceNetwork {
		return nil
	}
	const rulePort = 2
	rule := struct{ access, port uint64 }{unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, uint64(port)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, r.Fd(), rulePort, uintptr(unsafe.Pointer(&rule)), 0, 0, 0) //nolint:gosec // The kernel reads it.
	if errno != 0 {
		return fmt.Errorf("allow port %d: %w", port, errno)
	}
	return nil
}

// ruleset makes the ruleset for a program, without its own directory of /proc.
func (p *Policy) ruleset(version int, path string, args, environment []string) (*ruleset, error) {
	made, err := newRuleset(version, len(p.Connect) > 0)
	if err != nil {
		return nil, err
	}
	if err := p.fill(made, path, args, environment); err != nil {
		_ = made.Close()
		return nil, err
	}
	return made, nil
}

// fill adds all rules but those that are for one process. What the sandbox denies, and what
// it is said to deny, comes from here alone.
func (p *Policy) fill(into rules, path string, args, environment []string) error {
	files, directories := p.own(path, args, environment)
	for _, rule := range []struct {
		access uint64
		paths  []string
	}{
		{readExecute, slices.Concat(p.around(programs), p.around(stores), files, directories, p.Read)},
		{readAll, slices.Concat(settings, matching(runtimeSettings), devices, certificates(environment))},
		{readFile, controlGroups()},
		{writeFile, writableDevices},
		{writeAll, p.Write},
		{resolveUnix, nameServices},
	} {
		if err := p.checkLinks(rule.paths); err != nil {
			return err
		}
		if err := allow(into, rule.access, rule.paths...); err != nil {
			return err
		}
	}
	for _, fd := range held() {
		if err := into.allowOpen(readAll, fd); err != nil {
			return err
		}
	}
	for _, port := range p.Ports() {
		if err := into.allowPort(port); err != nil {
			return err
		}
	}
	return nil
}

// own are the paths of a program: every existing one in its command, the interpreter of a
// script, and the directories of those.
func (p *Policy) own(path string, args, environment []string) (paths, directories []string) {
	programs := executed(path, args, environment)
	for _, program := range programs {
		directories = append(directories, p.libraries(program)...)
	}
	for _, named := range slices.Concat(programs, arguments(args)) {
		info, err := os.Stat(named)
		if err != nil || !filepath.IsAbs(named) {
			continue
		}
		if info.IsDir() {
			if !p.isTooWide(named) {
				directories = append(directories, named)
			}
			continue
		}
		if !info.Mode().IsRegular() {
			continue
		}
		paths = append(paths, named)
		resolved, err := filepath.EvalSymlinks(named)
		if err != nil {
			continue
		}
		for _, of := range []string{named, resolved} {
			if dir := root(of); !p.isTooWide(dir) {
				directories = append(directories, dir)
			} else if dir := filepath.Dir(of); !p.isTooWide(dir) {
				directories = append(directories, dir)
			}
		}
	}
	return paths, directories
}

// projectFiles are in the directory of a program of several directories: of one in
// JavaScript, and of an environment of Python.
var (
	projectFiles    = []string{"package.json", "node_modules"}
	environmentFile = "pyvenv.cfg"
	javaScript      = []string{".js", ".mjs", ".cjs", ".ts", ".mts"}
)

// mostRootLevels is how far above a file the directory of its program is looked for.
const mostRootLevels = 3

// root is the directory of the program that a file is part of; without a sign of another it
// is the one that the file lies in.
func root(file string) string {
	dir := filepath.Dir(file)
	signs := []string{environmentFile}
	if slices.Contains(javaScript, filepath.Ext(file)) {
		signs = append(signs, projectFiles...)
	}
	at := dir
	for range mostRootLevels {
		for _, name := range signs {
			if _, err := os.Lstat(filepath.Join(at, name)); err == nil {
				return at
			}
		}
		at = filepath.Dir(at)
	}
	return dir
}

// around returns directories without what is hidden from the program: in place of one in
// which that lies, what is beside it there.
func (p *Policy) around(dirs []string) []string {
	var open []string
	for _, dir := range dirs {
		if !p.hides(dir) && !p.hides(resolve(dir)) {
			open = append(open, dir)
			continue
		}
		entries, _ := os.ReadDir(dir) // A file that is hidden has none.
		for _, entry := range entries {
			open = append(open, p.around([]string{filepath.Join(dir, entry.Name())})...)
		}
	}
	return open
}

// checkLinks refuses a path that leads elsewhere by a link in a directory that the program may
// write to: it decides where that leads.
func (p *Policy) checkLinks(paths []string) error {
	for _, path := range paths {
		for _, writable := range p.Write {
			if path == writable || !isWithin(path, writable) {
				continue
			}
			if target := resolve(path); target != filepath.Join(resolve(writable), strings.TrimPrefix(path, filepath.Clean(writable))) {
				return fmt.Errorf("%s leads to %s by a link in %s, which the plugin may write to; open where it should lead, by its own path", path, target, writable)
			}
		}
	}
	return nil
}

// OpensAny reports whether one of the paths is open to a command because its program lies
// beside it.
func (p *Policy) OpensAny(paths []string, path string, args, environment []string) bool {
	_, directories := p.own(path, append([]string{path}, args...), environment)
	return slices.ContainsFunc(directories, func(dir string) bool {
		return slices.ContainsFunc(paths, func(one string) bool { return isWithin(one, dir) || isWithin(resolve(one), resolve(dir)) })
	})
}

// homes are the parents of home directories.
var homes = []string{"/home", "/Users"}

// isTooWide reports whether a directory holds more than a program, so that it is not opened
// because the program lies in it.
func (p *Policy) isTooWide(dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return true
	}
	home, _ := os.UserHomeDir()
	wide := slices.Concat(shared, []string{os.TempDir(), home}, p.Hidden)
	return slices.ContainsFunc(wide, func(one string) bool {
		if one == "" {
			return false
		}
		resolved, err := filepath.EvalSymlinks(one)
		return isWithin(one, dir) || err == nil && isWithin(resolved, dir)
	}) || strings.HasPrefix(dir, "/proc/") || strings.HasPrefix(dir, "/dev/") || slices.Contains(homes, filepath.Dir(dir))
}

// controlGroups are the directories with the limits of processor and memory that hold for
// this process, and so for those that it starts. Runtimes read their files by name.
var controlGroups = sync.OnceValue(func() []string {
	const mounted = "/sys/fs/cgroup"
	listed, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	var dirs []string
	for line := range strings.Lines(string(listed)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(fields[1], ",") {
			switch controller {
			case "":
				dirs = append(dirs, filepath.Join(mounted, fields[2]), filepath.Join(mounted, "unified", fields[2]))
			case "cpu", "memory":
				dirs = append(dirs, filepath.Join(mounted, fields[1], fields[2]), filepath.Join(mounted, controller, fields[2]))
			}
		}
	}
	return slices.DeleteFunc(dirs, func(dir string) bool {
		_, err := os.Stat(dir)
		// The uppermost one has all others below it.
		return errors.Is(err, fs.ErrNotExist) || dir == mounted && !isOnlyGroup(dir)
	})
})

// isOnlyGroup reports whether a control group has no others in it: in a container, its own
// is the uppermost one.
func isOnlyGroup(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && !slices.ContainsFunc(entries, fs.DirEntry.IsDir)
}
