package pin

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/batonhost/baton-host/host/internal/proc"
)

// images are the executables in memory, by sum: plugins of one binary share one, which
// stays until the last of their pins is closed. A host that is reloaded would otherwise keep
// every release of its plugins that it has ever run.
var images = struct {
	sync.Mutex
	bySum map[string]*sealed
}{bySum: map[string]*sealed{}}

// sealed is one executable in memory.
type sealed struct {
	// mu has plugins of one binary read it one after the other, so that the first
	// reads for all of them.
	mu     sync.Mutex
	memory *os.File // nil until it has been verified
	// from are the files that were seen to hold it, by path. They spare another look
	// at their content, which decides nothing but whether a plugin is refused: what
	// is executed is the content in memory, whatever became of the file.
	from map[string]inode
	// pins are those that it was opened for. They are guarded by the lock of images.
	pins map[*Pin]bool
}

// inode is what differs once a file has been changed or replaced.
type inode struct {
	device, number  uint64
	size            int64
	modified, since unix.Timespec // since is when anything of it was changed last
}

// settledAfter is how long a file must have been left alone for its times to show a
// further change: they are those of the system's clock, which goes in steps.
const settledAfter = 2 * time.Second

// image puts the executable into memory, sealed, so that what was verified is
// what is executed.
func (p *Pin) image(program Program, dir string) (*proc.Image, error) {
	images.Lock()
	known := images.bySum[p.Executable]
	if known == nil {
		known = &sealed{from: map[string]inode{}, pins: map[*Pin]bool{}}
		images.bySum[p.Executable] = known
	}
	known.pins[p] = true
	images.Unlock()

	known.mu.Lock()
	defer known.mu.Unlock()
	if known.memory != nil {
		return proc.InMemory(known.memory, dir), known.verify(p, program)
	}
	memory, err := memoryFile()
	if err != nil {
		return p.copied(program, dir) // Not allowed here: by vm.memfd_noexec or seccomp, say.
	}
	if err = known.read(p, program, memory); err == nil {
		_, err = unix.FcntlInt(memory.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		_ = memory.Close()
		if _, refused := errors.AsType[*Error](err); refused {
			return nil, err
		}
		return p.copied(program, dir) // Memory cannot hold it, or cannot be sealed.
	}
	known.memory = memory
	return proc.InMemory(memory, dir), nil
}

// Close releases what Open has put into memory. Every start with the pin must have ended; a
// process that runs does not need it. Open may be called again.
func (p *Pin) Close() {
	images.Lock()
	known := images.bySum[p.Executable]
	isLast := known != nil && known.pins[p] && len(known.pins) == 1
	if known != nil {
		delete(known.pins, p)
	}
	if isLast {
		delete(images.bySum, p.Executable)
	}
	images.Unlock()
	if isLast && known.memory != nil {
		_ = known.memory.Close()
	}
}

// verify fails if the file is not the pinned one any more. It may have been replaced
// since it was read last.
func (s *sealed) verify(pin *Pin, program Program) error {
	now, err := inodeOf(program.Path)
	if err == nil && s.from[program.Path] == now {
		return nil
	}
	return s.read(pin, program, io.Discard)
}

// read copies the file, verifies what was copied, and remembers the file if a change of
// it would be seen.
func (s *sealed) read(pin *Pin, program Program, to io.Writer) error {
	path := program.Path
	delete(s.from, path)
	before, lookErr := inodeOf(path)
	sum, err := sumOf(path, to)
	if err != nil {
		return fmt.Errorf("verify plugin %q: %w", program.Instance, err)
	}
	if err := pin.verify(program.Instance, path, sum, pin.Executable); err != nil {
		return err
	}
	after, err := inodeOf(path)
	if lookErr == nil && err == nil && before == after && time.Since(time.Unix(after.since.Unix())) > settledAfter {
		s.from[path] = after
	}
	return nil
}

func inodeOf(path string) (inode, error) {
	var info unix.Stat_t
	if err := unix.Stat(path, &info); err != nil {
		return inode{}, err
	}
	return inode{info.Dev, info.Ino, info.Size, info.Mtim, info.Ctim}, nil
}

// memoryFile is a file in memory that can be executed and sealed.
func memoryFile() (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("baton-plugin", flags|unix.MFD_EXEC)
	// Kernels before 6.3 do not know MFD_EXEC. Of one that refuses it, a file without
	// it is one that cannot be executed.
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate("baton-plugin", flags)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "baton-plugin"), nil
}
