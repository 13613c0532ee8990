package unmodified

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// keep keeps content in memory, in a file that the connector inherits under this
// number.
func keep(_ string, number int, content []byte) (inherited *os.File, path string, err error) {
	fd, err := unix.MemfdCreate("baton-file-field", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, "", err
	}
	file := os.NewFile(uintptr(fd), "baton-file-field")
	if _, err := file.Write(content); err != nil {
		_ = file.Close()
		return nil, "", err
	}
	return file, fmt.Sprintf("/proc/self/fd/%d", number), nil
}
