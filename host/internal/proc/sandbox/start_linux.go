package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/batonhost/baton-host/host/internal/proc/cgroup"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox/launcher"
)

// executable is this program, also where its file has been replaced.
const executable = "/proc/self/exe"

// firstInherited is the number that the first of cmd.ExtraFiles has in a process.
const firstInherited = 3

// kept are the capabilities that a plugin of root may have: with the others it could reach
// other processes, the network of the machine or the kernel, whatever its files are.
var kept = []uint32{unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_NET_BIND_SERVICE}

// Kernel returns what of a sandbox can be applied here.
var Kernel = sync.OnceValue(func() Active {
	if _, err := os.Stat(executable); err != nil {
		return Active{Obstacle: "there is no /proc/self/exe; mount /proc"}
	}
	return Active{
		Landlock: landlockVersion(), Seccomp: architecture != 0 && hasSeccomp(), Capabilities: len(dropped()) > 0 || os.Geteuid() != 0,
		Group: cgroup.Offered().String(),
	}
})

// hasSeccomp reports whether filters can be installed. A unit or a container may refuse the
// call although the kernel has it; the kernel of before Linux 4.14 does not know the question.
func hasSeccomp() bool {
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action))) //nolint:gosec // The kernel reads it.
	return errno == 0 || errno == unix.EINVAL
}

// dropped are the capabilities that a plugin loses.
var dropped = sync.OnceValue(func() []uint32 {
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if unix.Capget(&header, &data[0]) != nil || data[0].Effective&(1<<unix.CAP_SETPCAP) == 0 {
		return nil
	}
	var all []uint32
	for capability := range uint32(unix.CAP_LAST_CAP + 1) {
		if !slices.Contains(kept, capability) && capability != unix.CAP_SETPCAP {
			all = append(all, capability)
		}
	}
	return append(all, unix.CAP_SETPCAP) // Last, as the others need it.
})

// Launch starts a command that has been prepared, and waits for no more than that.
type Launch func(*exec.Cmd) error

// Start starts a command with what the kernel offers of the sandbox, which is [Kernel], by
// launch. It returns a file to be closed when the process has ended. An error of the
// execution of the program is the same as without a sandbox; a process that has been
// started is waited for then.
func (p *Policy) Start(cmd *exec.Cmd, launch Launch) (*os.File, error) {
	return p.start(Kernel(), cmd, launch)
}

func (p *Policy) start(active Active, cmd *exec.Cmd, launch Launch) (*os.File, error) {
	watched, err := p.observe(active, cmd)
	if err != nil {
		return nil, fmt.Errorf("prepare the sandbox: %w", err)
	}
	defer watched.close()
	if active.Obstacle != "" || p.Permissive && watched == nil {
		return nil, launch(cmd)
	}
	request := launcher.Request{Path: cmd.Path, Args: cmd.Args, SelfAccess: selfAccess, DropCapabilities: dropped(), MaxFileSize: MostFileSize, MaxFiles: MostFiles, OnlyObserve: p.Permissive}
	if active.Seccomp {
		request.SeccompCall, request.Filter = unix.SYS_SECCOMP, filter()
	}
	var theirs []*os.File
	defer func() {
		for _, file := range theirs {
			_ = file.Close()
		}
	}()
	theirRequest, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = ours.Close() }()
	theirs = append(theirs, theirRequest)
	failures, theirFailures, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = failures.Close() }()
	theirs = append(theirs, theirFailures)
	if active.Landlock > 0 && !p.Permissive {
		rules, err := p.ruleset(active.Landlock, cmd.Path, cmd.Args, cmd.Env)
		if err != nil {
			return nil, fmt.Errorf("prepare the sandbox: %w", err)
		}
		request.HasRuleset = true
		if active.Landlock >= sinceLogging {
			request.RestrictFlags = unix.LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON
		}
		theirs = append(theirs, rules.File)
	}
	if watched != nil {
		request.Observed = observing()
		theirs = append(theirs, watched.theirs)
	}

	program := cmd.Path
	cmd.Path = executable
	cmd.Env = append(slices.Clone(cmd.Env), launcher.Env+"="+strconv.Itoa(firstInherited+len(cmd.ExtraFiles)))
	cmd.ExtraFiles = append(slices.Clone(cmd.ExtraFiles), theirs...)
	err = launch(cmd)
	cmd.Path = program // It is what the process becomes.
	if err != nil {
		return nil, fmt.Errorf("start this program again as a launcher: %w", err)
	}
	for _, file := range theirs {
		_ = file.Close()
	}
	theirs = nil
	_, writing := ours.Write(request.Encode())
	_ = ours.Close()
	if err := watched.begin(cmd.Process.Pid); err != nil { // The launcher waits for it to execute the program.
		_ = cmd.Process.Kill() // Nothing would answer its calls.
		_ = cmd.Wait()
		return nil, fmt.Errorf("its calls cannot be observed: %w; set sandbox: off in its entry to start it without", err)
	}
	failure := make([]byte, launcher.FailureSize)
	n, err := io.ReadFull(failures, failure)
	if n == 0 && writing == nil && errors.Is(err, io.EOF) {
		// The program is executed. As long as its directory of /proc is held, the kernel
		// makes no new one, for which no rule would hold.
		held, _ := os.OpenFile(fmt.Sprintf("/proc/%d", cmd.Process.Pid), unix.O_PATH, 0)
		return held, nil
	}
	_ = cmd.Process.Kill() // It is about to end.
	_ = cmd.Wait()
	if n < launcher.FailureSize {
		return nil, fmt.Errorf("start this program again as a launcher: it ended without a word (%s)", cmd.ProcessState)
	}
	step, number := launcher.DecodeFailure(failure)
	if step == launcher.Execute {
		return nil, &fs.PathError{Op: "fork/exec", Path: program, Err: unix.Errno(number)}
	}
	return nil, fmt.Errorf("its sandbox cannot be applied, to %s: %w; upgrade the kernel, or set sandbox: off in its entry", step, unix.Errno(number))
}
