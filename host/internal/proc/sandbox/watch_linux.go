package sandbox

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/batonhost/baton-host/host/internal/proc/sandbox/launcher"
)

// patience is how long a program waits for what is found out about one of its calls. That
// takes microseconds, unless a file system does not answer, or the log.
const patience = 2 * time.Second

// watch observes a process and its children: the kernel stops them in the calls of
// [observing], and lets them go on as soon as the watch answers. It ends with the last of
// them. A call is never refused by it.
type watch struct {
	judge    *judge
	observer Observer
	reported *reported
	// ours receives the listener, and theirs sends it.
	ours, theirs *os.File
	// self holds the directory of /proc of the process, to which it has a rule.
	self     *os.File
	listener int
	// isDone says that nothing is looked at any more.
	isDone atomic.Bool
}

// observe prepares to observe the process of a command, if anybody wants that and the kernel
// can. The watch is nil otherwise, and its methods do nothing.
func (p *Policy) observe(active Active, cmd *exec.Cmd) (*watch, error) {
	if p.Observer == nil {
		return nil, nil
	}
	obstacle := active.Obstacle
	if obstacle == "" {
		obstacle = Unobservable()
	}
	if obstacle != "" {
		p.Observer.Blind(obstacle)
		return nil, nil
	}
	version := active.Landlock
	if version == 0 {
		version = newest // What another kernel would deny.
	}
	w := &watch{judge: newJudge(p, version), observer: p.Observer, reported: newReported()}
	if err := p.fill(w.judge, cmd.Path, cmd.Args, cmd.Env); err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	w.ours, w.theirs = os.NewFile(uintptr(pair[0]), "listener"), os.NewFile(uintptr(pair[1]), "listener")
	return w, nil
}

// close closes what is needed for the start alone. It may be called again.
func (w *watch) close() {
	if w == nil {
		return
	}
	_ = w.ours.Close()
	_ = w.theirs.Close()
}

// begin receives the listener from the launcher and observes from then on. Call it once the
// host's copy of what the launcher has is closed. It fails where there is a listener and it is
// lost: the kernel then fails every observed call of the program, its execution first.
func (w *watch) begin(process int) error {
	if w == nil {
		return nil
	}
	listener, refusal, err := receiveListener(int(w.ours.Fd()))
	w.close()
	switch {
	case err != nil:
		return err
	case refusal != nil:
		w.observer.Blind(refusal.Error())
		return nil
	case listener < 0:
		return nil // The launcher has failed, and says why.
	}
	if self, err := os.OpenFile("/proc/"+strconv.Itoa(process), unix.O_PATH, 0); err == nil {
		w.self = self
		_ = w.judge.allowOpen(selfAccess, int(self.Fd())) // Without it there are false reports.
	}
	w.listener = listener
	go w.run()
	return nil
}

// receiveListener returns a descriptor below 0 where the launcher has ended without a word,
// and why there is none where the kernel has refused it one.
func receiveListener(from int) (listener int, refusal, err error) {
	const words = 4
	message, rights := make([]byte, words), make([]byte, unix.CmsgSpace(words))
	var n, size int
	for {
		n, size, _, _, err = unix.Recvmsg(from, message, rights, unix.MSG_CMSG_CLOEXEC)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return -1, nil, fmt.Errorf("receive what the kernel shows of it: %w", err)
	}
	number, ok := launcher.DecodeRefusal(message[:n])
	if !ok {
		return -1, nil, nil
	}
	switch errno := unix.Errno(number); errno {
	case 0:
	case unix.EBUSY:
		return -1, fmt.Errorf("something around this host observes it already: %w", errno), nil
	default:
		return -1, fmt.Errorf("the kernel, or a container, refuses it: %w", errno), nil
	}
	messages, err := unix.ParseSocketControlMessage(rights[:size])
	if err != nil || len(messages) == 0 {
		return -1, nil, errLostListener
	}
	descriptors, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(descriptors) != 1 {
		return -1, nil, errLostListener
	}
	return descriptors[0], nil, nil
}

// errLostListener is an error of the kernel's, which drops a descriptor for which there is no
// room and does not say why.
var errLostListener = fmt.Errorf("the descriptor for it does not arrive, as with %w", unix.EMFILE)

// notification is a call that waits (struct seccomp_notif), and response what becomes of it
// (struct seccomp_notif_resp).
type (
	notification struct {
		id     uint64
		thread uint32
		_      uint32
		call   int32
		_      uint32
		_      uint64
		args   [6]uint64
	}
	response struct {
		id    uint64
		_     int64
		_     int32
		flags uint32
	}
)

// run answers each call, until nothing is left that could make one. What it finds out about
// a call may take long, by no fault of its own; then it answers all others at once.
func (w *watch) run() {
	defer func() {
		_ = unix.Close(w.listener)
		_ = w.self.Close() // Also of none.
	}()
	calls, judged := make(chan *notification), make(chan struct{}, 1)
	defer close(calls)
	go func() {
		for one := range calls {
			w.look(one)
			judged <- struct{}{}
		}
	}()
	waiting := time.NewTimer(patience)
	defer waiting.Stop()
	w.answer(func(one *notification) {
		if w.isDone.Load() {
			return
		}
		waiting.Reset(patience)
		calls <- one
		select {
		case <-judged:
		case <-waiting.C:
			w.isDone.Store(true)
			go w.observer.Blind("a file system, or the log, does not answer")
		}
	})
}

// answer has each call judged and lets it go on, until there are no more.
func (w *watch) answer(judge func(*notification)) {
	for w.awaits() {
		one := &notification{}
		if ioctl(w.listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(one)) != 0 { //nolint:gosec // The kernel writes there.
			continue // A signal has come first.
		}
		judge(one)
		if isOnMainThread() {
			besideMainThread(func() {
				w.letGoOn(one)
				w.answer(judge)
			})
			return
		}
		w.letGoOn(one)
	}
}

// letGoOn has the kernel do a call that waits.
func (w *watch) letGoOn(n *notification) {
	answer := response{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	_ = ioctl(w.listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&answer)) //nolint:gosec // The kernel reads it.
}

// isOnMainThread reports whether the caller is on the first thread of this process. The
// program may stop that one with the call that goes on, as ptrace of a process does: its next
// call, which lets the thread go on, must be answered from another.
func isOnMainThread() bool { return unix.Gettid() == unix.Getpid() }

// besideMainThread calls a function from the first thread of this process, which it keeps
// meanwhile, on the others.
func besideMainThread(do func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		do()
	}()
	<-ended
}

// awaits waits for the next call. It returns false once there can be none. It blocks a
// thread of the system: an answer is on its way sooner than by the runtime's poller.
func (w *watch) awaits() bool {
	ready := []unix.PollFd{{Fd: int32(w.listener), Events: unix.POLLIN}} //nolint:gosec // It is a descriptor.
	for {
		_, err := unix.Poll(ready, -1)
		if err != unix.EINTR {
			return err == nil && ready[0].Revents&unix.POLLIN != 0
		}
	}
}

func ioctl(fd int, request uint, argument unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(argument))
	return errno
}

// look reports what the sandbox denies of a call.
func (w *watch) look(n *notification) {
	denials := w.judge.call(n)
	// A thread that has been killed meanwhile may have left its number to another.
	if len(denials) > 0 && ioctl(w.listener, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&n.id)) != 0 { //nolint:gosec // The kernel reads it.
		return
	}
	for _, denial := range denials {
		isFull := w.reported.isFull()
		d, isNew := w.reported.note(denial, w.judge.isWide)
		switch {
		case !isNew:
		case isFull:
			w.isDone.Store(true)
			w.observer.Blind(fmt.Sprintf("%d different accesses have been reported", most))
			return
		default:
			w.observer.Denied(d)
		}
	}
}

// call judges a call of the program.
func (j *judge) call(n *notification) []Denial {
	t := thread(n.thread)
	if t == 0 {
		return nil // It is in another namespace.
	}
	call, a := newer(uint32(n.call), n.args) //nolint:gosec // Numbers of calls are small.
	if slices.Contains(awayCalls, call) {
		j.isAway = true
	}
	if !slices.Contains(observedCalls, call) {
		name := nameOf(call)
		if call == unix.SYS_SOCKET {
			name = fmt.Sprintf("socket, of family %d", a[0])
		}
		return []Denial{{Access: accessCall, Object: name, Hint: "no program in a sandbox can; sandbox: off leaves it"}}
	}
	switch call {
	case unix.SYS_CONNECT:
		return j.connect(t, a)
	case unix.SYS_BIND:
		return j.bind(t, a)
	}
	if j.isAway {
		return nil
	}
	return j.named(t, call, a)
}

// named judges a call that names files.
func (j *judge) named(t thread, call uint32, a [6]uint64) []Denial {
	at := 1 // of the name; the descriptor of the directory is before it
	switch call {
	case unix.SYS_EXECVE, unix.SYS_TRUNCATE:
		at = 0
	case unix.SYS_SYMLINKAT:
		at = 2
	}
	text, ok := t.text(a[at])
	if !ok {
		return nil
	}
	dirfd := int32(a[max(at-1, 0)]) //nolint:gosec // The kernel takes the lower half too.
	switch call {
	case unix.SYS_OPENAT:
		return j.open(t, dirfd, text, a[2])
	case unix.SYS_OPENAT2:
		var flags [8]byte
		if !t.read(a[2], flags[:]) {
			return nil
		}
		return j.open(t, dirfd, text, binary.NativeEndian.Uint64(flags[:]))
	case unix.SYS_EXECVE:
		return j.execute(t, unix.AT_FDCWD, text, true)
	case unix.SYS_EXECVEAT:
		if text == "" && a[4]&unix.AT_EMPTY_PATH != 0 {
			text = fmt.Sprintf("/proc/%d/fd/%d", t, dirfd)
		}
		return j.execute(t, dirfd, text, a[4]&unix.AT_SYMLINK_NOFOLLOW == 0)
	case unix.SYS_MKDIRAT:
		return j.makes(t, dirfd, text, unix.LANDLOCK_ACCESS_FS_MAKE_DIR)
	case unix.SYS_MKNODAT:
		return j.makes(t, dirfd, text, making(uint32(a[2])&unix.S_IFMT)) //nolint:gosec // As above.
	case unix.SYS_SYMLINKAT:
		return j.makes(t, dirfd, text, unix.LANDLOCK_ACCESS_FS_MAKE_SYM)
	case unix.SYS_UNLINKAT:
		return j.removes(t, dirfd, text, a[2]&unix.AT_REMOVEDIR != 0)
	case unix.SYS_TRUNCATE:
		return j.truncates(t, text)
	}
	target, ok := t.text(a[3])
	if !ok {
		return nil
	}
	from, to := name{dirfd, text}, name{int32(a[2]), target} //nolint:gosec // As above.
	if call == unix.SYS_RENAMEAT2 {
		return j.moves(t, from, to, false, false, a[4])
	}
	if text == "" && a[4]&unix.AT_EMPTY_PATH != 0 {
		from.text = fmt.Sprintf("/proc/%d/fd/%d", t, dirfd)
	}
	return j.moves(t, from, to, true, a[4]&(unix.AT_SYMLINK_FOLLOW|unix.AT_EMPTY_PATH) != 0, 0)
}

// connect judges a connection.
func (j *judge) connect(t thread, a [6]uint64) []Denial {
	to, ok := t.address(a[1], a[2])
	switch {
	case !ok:
	case to.family == unix.AF_UNIX:
		if j.version >= sinceScopes && to.abstract != "" && !j.bound[to.abstract] {
			return []Denial{{Access: accessAbstract, Object: to.abstract, Hint: "no key opens those of other programs; sandbox: off does"}}
		}
	case to.family != unix.AF_INET && to.family != unix.AF_INET6, !j.limitsPorts(), j.ports[to.port]:
	case t.isTCP(int32(a[0])): //nolint:gosec // The kernel takes the lower half too.
		port := strconv.Itoa(int(to.port))
		return []Denial{{Access: accessConnect, Object: port, Key: keyConnect, Value: port}}
	}
	return nil
}

// bind judges a socket that gets an address.
func (j *judge) bind(t thread, a [6]uint64) []Denial {
	const mostBound = 1000
	to, ok := t.address(a[1], a[2])
	switch {
	case !ok || to.family != unix.AF_UNIX:
	case to.abstract != "":
		if len(j.bound) < mostBound {
			j.bound[to.abstract] = true
		}
	case to.path != "" && !j.isAway:
		return j.makes(t, unix.AT_FDCWD, to.path, unix.LANDLOCK_ACCESS_FS_MAKE_SOCK)
	}
	return nil
}
