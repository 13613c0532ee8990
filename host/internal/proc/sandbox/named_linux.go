package sandbox

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// longestFirstLine is how much of a script's first line the kernel reads.
	longestFirstLine = 256
	// inheritedPaths is where a program has its descriptors. In a command they are those of
	// the process to be, and not the host's.
	inheritedPaths = "/proc/self/fd/"
	// pathVariable lists where programs are looked for.
	pathVariable = "PATH"
)

// runtimeSettings match what the runtimes of languages read below /etc on some systems: the
// files of Debian's Python and Java are links to it.
var runtimeSettings = []string{"/etc/python[0-9]*", "/etc/java*", "/etc/perl"}

// stores hold the programs of systems that have none in /usr, with all of their libraries.
// They hold no secrets: everyone can read them.
var stores = []string{"/nix/store", "/gnu/store"}

// matching returns the paths that patterns match.
func matching(patterns []string) []string {
	var paths []string
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern) // The patterns are well formed.
		paths = append(paths, found...)
	}
	return paths
}

// executed returns what a command executes: its program, and the interpreters of a script.
// The first of the arguments is the program as it is configured, also where an image of it
// is executed.
func executed(path string, args, environment []string) []string {
	var programs []string
	for _, one := range append([]string{path}, args[:min(1, len(args))]...) {
		if !strings.HasPrefix(one, inheritedPaths) && !slices.Contains(programs, one) {
			programs = append(programs, one)
		}
	}
	for _, program := range slices.Clone(programs) {
		programs = append(programs, interpreters(program, environment)...)
	}
	return programs
}

// arguments returns what the arguments of a command name, also behind a flag.
func arguments(args []string) []string {
	var values []string
	for _, arg := range args[min(1, len(args)):] {
		if strings.HasPrefix(arg, "-") {
			_, arg, _ = strings.Cut(arg, "=")
		}
		values = append(values, arg)
	}
	return values
}

// interpreters returns the program that the first line of a script names, and the one that
// env would find for it.
func interpreters(script string, environment []string) []string {
	words := firstLine(script)
	if len(words) == 0 {
		return nil
	}
	found := words[:1]
	if filepath.Base(words[0]) != "env" {
		return found
	}
	for _, word := range words[1:] {
		if !strings.HasPrefix(word, "-") && !strings.Contains(word, "=") {
			return append(found, along(environment, word)...)
		}
	}
	return found
}

// firstLine returns the words behind "#!" in a file's first line; none: it is no script.
func firstLine(path string) []string {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	line, _ := bufio.NewReader(io.LimitReader(file, longestFirstLine)).ReadString('\n')
	line, isScript := strings.CutPrefix(line, "#!")
	if !isScript {
		return nil
	}
	return strings.Fields(line)
}

// along returns the program of a name that is found first along the PATH of an environment.
func along(environment []string, name string) []string {
	if filepath.IsAbs(name) {
		return []string{name}
	}
	var dirs []string
	for _, variable := range environment {
		if value, ok := strings.CutPrefix(variable, pathVariable+"="); ok {
			dirs = filepath.SplitList(value) // The last one counts.
		}
	}
	for _, dir := range dirs {
		if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil && filepath.IsAbs(found) {
			return []string{found}
		}
	}
	return nil
}

// libraries returns the directories with libraries beside the directory bin of a program: an
// interpreter that is installed below a prefix has its own there.
func (p *Policy) libraries(program string) []string {
	var dirs []string
	for _, path := range []string{program, resolve(program)} {
		bin := filepath.Dir(path)
		if filepath.Base(bin) != "bin" {
			continue
		}
		for _, name := range []string{"lib", "lib64"} {
			if dir := filepath.Join(filepath.Dir(bin), name); !p.isTooWide(dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}
