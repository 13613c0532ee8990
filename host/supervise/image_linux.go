package supervise

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// images are the executables in memory, by sum, for as long as the host lives:
// plugins of one binary share one.
var images = struct {
	sync.Mutex
	bySum map[string]*os.File
}{bySum: map[string]*os.File{}}

// imageOf puts the executable into memory, sealed, so that what was verified is
// what is executed.
func imageOf(spec Spec, path, dir string) (*image, error) {
	images.Lock()
	defer images.Unlock()
	if known := images.bySum[spec.Pin.Executable]; known != nil {
		// The file may have been replaced since.
		sum, err := sumOf(path, io.Discard)
		if err != nil {
			return nil, fmt.Errorf("verify plugin %q: %w", spec.Instance, err)
		}
		return &image{file: known}, spec.verify(path, sum, spec.Pin.Executable)
	}

	memory, err := memoryFile()
	if err != nil {
		return copied(spec, path, dir) // Not allowed here: vm.memfd_noexec, say.
	}
	sum, err := sumOf(path, memory)
	if err == nil {
		err = spec.verify(path, sum, spec.Pin.Executable)
	}
	if err == nil {
		_, err = unix.FcntlInt(memory.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		_ = memory.Close()
		return nil, err
	}
	images.bySum[sum] = memory
	return &image{file: memory}, nil
}

// memoryFile is a file in memory that can be executed and sealed.
func memoryFile() (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("baton-plugin", flags|unix.MFD_EXEC)
	if err != nil { // Kernels before 6.3 do not know MFD_EXEC.
		fd, err = unix.MemfdCreate("baton-plugin", flags)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "baton-plugin"), nil
}
