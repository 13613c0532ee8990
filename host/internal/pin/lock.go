package pin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/proc"
)

const (
	// version is raised when the meaning of a lock file changes.
	version = 1
	// maxSize is the greatest size of a lock file, in bytes.
	maxSize = 1 << 20
)

const header = `# What the plugins of this configuration are: written by "baton-host lock", checked
# at every start of a plugin, and kept in version control with the configuration.
# A plugin that differs is not started. Accept a new release with "baton-host lock".
`

// File is a lock file.
type File struct {
	// Plugins are the plugins by instance name.
	Plugins map[string]Entry
}

// Entry is what one plugin was.
type Entry struct {
	// Version is what the plugin said that it is.
	Version string `yaml:"version"`
	// Protocol is the version of the plugin protocol that it speaks.
	Protocol int `yaml:"protocol"`
	// Platforms are its sums by operating system and architecture, such as
	// "linux/amd64".
	Platforms map[string]Sums `yaml:"platforms"`
}

// Sums are the SHA-256 of all that a plugin is started from, each as "sha256:"
// and 64 hexadecimal digits.
type Sums struct {
	Executable string `yaml:"executable"`
	// Files are the files among its arguments, by path: relative to the directory
	// of the configuration where they are below it.
	Files map[string]string `yaml:"files,omitempty"`
}

// Equal says whether two plugins are the same files.
func (s Sums) Equal(other Sums) bool {
	return s.Executable == other.Executable && maps.Equal(s.Files, other.Files)
}

// IsMadeOf reports whether the plugin had these sums on this system.
func (e Entry) IsMadeOf(sums Sums) bool { return e.Platforms[proc.Platform].Equal(sums) }

// With returns the entry with these sums for this system.
func (e Entry) With(sums Sums) Entry {
	all := map[string]Sums{}
	maps.Copy(all, e.Platforms)
	all[proc.Platform] = sums
	e.Platforms = all
	return e
}

// Unchanged is the change of an entry that is as it was.
const Unchanged = "unchanged"

// Change returns in words how the plugin differs now, on this system.
func (e Entry) Change(now Entry) string {
	locked, here := e.Platforms[proc.Platform]
	switch sums := now.Platforms[proc.Platform]; {
	case !here:
		return "new for " + proc.Platform
	case locked.Executable != sums.Executable:
		return fmt.Sprintf("the executable was %s and is %s", locked.Executable, sums.Executable)
	case !locked.Equal(sums):
		return "the files among its arguments are others"
	default:
		return Unchanged
	}
}

// Pin returns the pin of a plugin with these arguments. accept is the command that
// adds one which the file does not cover.
func (f *File) Pin(instance string, args []string, configFile, accept string) (*Pin, error) {
	path := PathFor(configFile)
	entry, ok := f.Plugins[instance]
	if !ok {
		return nil, fmt.Errorf("plugin %q is not in %s; add it with: %s", instance, path, accept)
	}
	sums, ok := entry.Platforms[proc.Platform]
	if !ok {
		return nil, fmt.Errorf("plugin %q is locked in %s for %s only, not for %s; add it, on such a machine, with: %s",
			instance, path, strings.Join(slices.Sorted(maps.Keys(entry.Platforms)), ", "), proc.Platform, accept)
	}
	return &Pin{Executable: sums.Executable, Files: pinnedFiles(configFile, args, sums.Files), Source: path, Accept: accept}, nil
}

// Sums returns the pin's sums as the lock file of a configuration has them.
func (p *Pin) Sums(configFile string) Sums {
	files := map[string]string{}
	for arg, sum := range p.Files {
		files[lockName(configFile, arg)] = sum
	}
	return Sums{Executable: p.Executable, Files: files}
}

// lockName returns how a lock file names a file among a plugin's arguments: relative to the
// configuration where it is below it.
func lockName(configFile, arg string) string {
	flag, path := FileIn(arg)
	dir, err := filepath.Abs(filepath.Dir(configFile))
	if err != nil {
		return arg
	}
	relative, err := filepath.Rel(dir, path)
	if err != nil || !filepath.IsLocal(relative) {
		return arg
	}
	return flag + filepath.ToSlash(relative)
}

// pinnedFiles returns the sums of a lock file by the plugin's arguments.
func pinnedFiles(configFile string, args []string, sums map[string]string) map[string]string {
	files := maps.Clone(sums)
	for _, arg := range args {
		name := lockName(configFile, arg)
		if sum, ok := sums[name]; ok && name != arg {
			delete(files, name)
			files[arg] = sum
		}
	}
	return files
}

// PathFor is where the lock file of a configuration is: beside it, baton-host.lock
// for baton-host.yaml.
func PathFor(config string) string {
	return strings.TrimSuffix(config, filepath.Ext(config)) + ".lock"
}

// written is a lock file as it is written.
type written struct {
	Version int              `yaml:"version"`
	Plugins map[string]Entry `yaml:"plugins"`
}

// Read reads a lock file. The error is os.ErrNotExist if there is none, and
// otherwise a sentence that says what is wrong with it and what to do.
func Read(path string) (*File, error) {
	data, err := read(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("the lock file %s cannot be read: %w", path, err)
	}
	file, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s is not a lock file that this baton-host understands: %w; restore it from version control, or remove it and write it again with \"baton-host lock\"", path, err)
	}
	return file, nil
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a file; move what is there")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err == nil && len(data) > maxSize {
		err = fmt.Errorf("it is larger than %d MiB", maxSize>>20)
	}
	return data, err
}

func parse(data []byte) (*File, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	var from written
	err := decoder.Decode(&from)
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("it is empty")
	case err != nil:
		return nil, errors.New(plain(err))
	case from.Version != version:
		return nil, fmt.Errorf("its version is %d, not %d", from.Version, version)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something behind its end")
	}
	for _, name := range slices.Sorted(maps.Keys(from.Plugins)) {
		if err := from.Plugins[name].check(); err != nil {
			return nil, fmt.Errorf("plugin %q: %w", name, err)
		}
	}
	return &File{Plugins: from.Plugins}, nil
}

// plain is an error of the decoder on one line and without Go's names.
func plain(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n  ")
	return typeNames.ReplaceAllString(strings.Join(strings.Fields(text), " "), "")
}

var typeNames = regexp.MustCompile(` (in|into) (type )?(pin\.\w+|map\[\S+|string|int)`)

var (
	sumForm      = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	platformForm = regexp.MustCompile(`^[a-z0-9]+/[a-z0-9]+$`)
)

func (e Entry) check() error {
	if len(e.Platforms) == 0 {
		return errors.New("it has no platforms")
	}
	for platform, sums := range e.Platforms {
		if !platformForm.MatchString(platform) {
			return fmt.Errorf("%q is not a platform such as linux/amd64", platform)
		}
		if !sumForm.MatchString(sums.Executable) {
			return fmt.Errorf("the executable of %s has no sum of the form sha256: and 64 hexadecimal digits", platform)
		}
		for name, sum := range sums.Files {
			if !sumForm.MatchString(sum) {
				return fmt.Errorf("%s of %s has no sum of the form sha256: and 64 hexadecimal digits", name, platform)
			}
		}
	}
	return nil
}

// Bytes is the file as it is written: the same for the same content.
func (f *File) Bytes() ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(header)
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	err := encoder.Encode(written{Version: version, Plugins: f.Plugins})
	if err == nil {
		err = encoder.Close()
	}
	return out.Bytes(), err
}

// Write replaces the lock file, or writes none of it. It returns false where the
// file has that content already, and is not touched.
func (f *File) Write(path string) (changed bool, err error) {
	data, err := f.Bytes()
	if err != nil {
		return false, fmt.Errorf("write the lock file: %w", err)
	}
	if before, err := read(path); err == nil && bytes.Equal(before, data) {
		return false, nil
	}
	if err := replace(path, data); err != nil {
		return false, fmt.Errorf("the lock file cannot be written: %w", err)
	}
	return true, nil
}

func replace(path string, data []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(data)
	err = errors.Join(err, temporary.Chmod(0o644), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
	}
	return err
}
