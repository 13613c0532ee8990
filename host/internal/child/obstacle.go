package child

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unicode/utf8"
)

// Platform is the system that this program runs on.
const Platform = runtime.GOOS + "/" + runtime.GOARCH

// Obstacle returns the beginning of a sentence about a path that the system would not
// execute; the system's own error follows.
func Obstacle(path string, err error) string {
	info, statErr := os.Stat(path)
	executed, _ := errors.AsType[*fs.PathError](err)
	switch {
	case errors.Is(err, syscall.ETXTBSY):
		return "it is still being written, by a build or an install; let that end, and install by replacing the file (mv), not by writing into it: "
	case errors.Is(err, fs.ErrPermission) && executed != nil && executed.Op == "fork/exec" && executed.Path != path:
		return "its verified copy may not be executed; set TMPDIR to a directory on a file system that allows programs (mounted without noexec), or allow programs in memory (vm.memfd_noexec below 2): "
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such program, or not the interpreter that it names: "
	case statErr == nil && info.IsDir():
		return "it is a directory, not a program; name the plugin binary in it: "
	case errors.Is(err, syscall.ENOEXEC):
		return foreign(path)
	case errors.Is(err, fs.ErrPermission):
		return "it may not be executed; make it executable (chmod +x), and see that its file system allows programs: "
	default:
		return ""
	}
}

// foreign begins a sentence about a file that is no program for this system, by what is
// in it.
func foreign(path string) string {
	if platform := builtFor(path); platform != "" && platform != Platform {
		return fmt.Sprintf("it is built for %s, and this is %s; install the release for this system: ", platform, Platform)
	}
	if isText(path) {
		return "it is a script whose first line names no interpreter; begin it with one, such as #!/bin/sh, or put the interpreter in front of it in command: "
	}
	return fmt.Sprintf("it is no program for this system (%s), or not the whole of one; install it again: ", Platform)
}

// builtFor returns the system that an executable is built for, in Go's words; empty: it
// is none.
func builtFor(path string) string {
	if file, err := elf.Open(path); err == nil {
		defer func() { _ = file.Close() }()
		system := "linux" // Most systems that use the format leave it out.
		if file.OSABI != elf.ELFOSABI_NONE && file.OSABI != elf.ELFOSABI_LINUX {
			system = strings.ToLower(strings.TrimPrefix(file.OSABI.String(), "ELFOSABI_"))
		}
		return system + "/" + inGo(file.Machine.String())
	}
	if file, err := macho.Open(path); err == nil {
		defer func() { _ = file.Close() }()
		return "darwin/" + inGo(file.Cpu.String())
	}
	if file, err := macho.OpenFat(path); err == nil {
		defer func() { _ = file.Close() }()
		return "darwin" // For several processors.
	}
	if file, err := pe.Open(path); err == nil {
		defer func() { _ = file.Close() }()
		return "windows/" + inGo(windowsMachines[file.Machine])
	}
	return ""
}

var windowsMachines = map[uint16]string{
	pe.IMAGE_FILE_MACHINE_AMD64: "amd64", pe.IMAGE_FILE_MACHINE_ARM64: "arm64", pe.IMAGE_FILE_MACHINE_I386: "386", pe.IMAGE_FILE_MACHINE_ARMNT: "arm",
}

// inGo returns Go's name of a processor.
func inGo(machine string) string {
	machine = strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(machine, "EM_"), "Cpu"))
	switch machine {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "riscv":
		return "riscv64"
	case "s390":
		return "s390x"
	case "":
		return "another processor"
	}
	return machine
}

// isText reports whether a file begins as a text.
func isText(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	beginning, err := io.ReadAll(io.LimitReader(file, 512))
	for range utf8.UTFMax { // It may be cut within a character.
		if len(beginning) > 0 && !utf8.Valid(beginning) {
			beginning = beginning[:len(beginning)-1]
		}
	}
	return err == nil && len(beginning) > 0 && utf8.Valid(beginning) && !bytes.ContainsRune(beginning, 0)
}
