package pin

import (
	"bytes"
	"cmp"
	"context"
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

	"github.com/batonhost/baton-host/host/internal/child"
	"github.com/batonhost/baton-host/host/internal/files"
)

const (
	// version is that of a lock file with what was measured only, and versionInstalled that of
	// one with installed connectors too: a host that does not know them must not read past
	// where they are from.
	version, versionInstalled = 1, 2
	// maxSize is the greatest size of a lock file, in bytes.
	maxSize = 1 << 20
)

const header = `# What the plugins of this configuration are: written by "baton-host lock", checked
# at every start of a plugin, and kept in version control with the configuration.
# A plugin that differs is not started. Accept a new release with "baton-host lock".
`

// headerInstalled goes on with the header where there are installed connectors.
const headerInstalled = `# What has a connector and an origin was installed: accept a new release of it with
# "baton-host install --upgrade".
`

// File is a lock file.
type File struct {
	// Plugins are the plugins by instance name.
	Plugins map[string]Entry
}

// Entry is what one plugin was.
type Entry struct {
	// Version is what the plugin said that it is, or the tag of the release that was
	// installed.
	Version string `yaml:"version"`
	// Protocol is the version of the plugin protocol that it speaks; 0: it was installed and
	// not asked.
	Protocol int `yaml:"protocol,omitempty"`
	// Connector is the name of the connector that was installed; empty: what was measured is a
	// program that was put there.
	Connector string `yaml:"connector,omitempty"`
	// Image is the reference of the image that it was installed from; empty: a release.
	Image string `yaml:"image,omitempty"`
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
	// Origin is where the executable of an installed connector is from.
	Origin Origin `yaml:"origin,omitempty"`
}

// Origin is where an executable is from, and what proves that.
type Origin struct {
	// Archive is the SHA-256 of the archive of a release, and Image the digest of an image;
	// one of them is given.
	Archive string `yaml:"archive,omitempty"`
	Image   string `yaml:"image,omitempty"`
	// Signer is the identity of the workflow that signed it, Repository the URL of the source
	// repository, and Commit what it was built from.
	Signer     string `yaml:"signer,omitempty"`
	Repository string `yaml:"repository,omitempty"`
	Commit     string `yaml:"commit,omitempty"`
	// Provenance is NoProvenance where the other three are not known.
	Provenance string `yaml:"provenance,omitempty"`
}

// NoProvenance says that what was installed is not signed.
const NoProvenance = "none"

// Digest returns the digest of what the executable was unpacked from.
func (o Origin) Digest() string { return cmp.Or(o.Archive, o.Image) }

// Equal says whether two plugins are the same files.
func (s Sums) Equal(other Sums) bool {
	return s.Executable == other.Executable && maps.Equal(s.Files, other.Files)
}

// IsMadeOf reports whether the plugin had these sums on this system.
func (e Entry) IsMadeOf(sums Sums) bool { return e.Platforms[child.Platform].Equal(sums) }

// With returns the entry with these sums for this system.
func (e Entry) With(sums Sums) Entry { return e.WithPlatform(child.Platform, sums) }

// WithPlatform returns the entry with these sums for a system.
func (e Entry) WithPlatform(platform string, sums Sums) Entry {
	all := map[string]Sums{}
	maps.Copy(all, e.Platforms)
	all[platform] = sums
	e.Platforms = all
	return e
}

// IsInstalled reports whether the entry is of a connector that was installed.
func (e Entry) IsInstalled() bool { return e.Connector != "" }

// Source names what was installed, for people.
func (e Entry) Source() string {
	if e.Image != "" {
		return "the image " + e.Image
	}
	return e.Connector + " " + e.Version
}

// Unchanged is the change of an entry that is as it was.
const Unchanged = "unchanged"

// Change returns in words how the plugin differs now, on this system.
func (e Entry) Change(now Entry) string {
	locked, here := e.Platforms[child.Platform]
	switch sums := now.Platforms[child.Platform]; {
	case !here:
		return "new for " + child.Platform
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
	sums, ok := entry.Platforms[child.Platform]
	if !ok {
		return nil, fmt.Errorf("plugin %q is locked in %s for %s only, not for %s; add it, on such a machine, with: %s",
			instance, path, strings.Join(slices.Sorted(maps.Keys(entry.Platforms)), ", "), child.Platform, accept)
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
	case from.Version != version && from.Version != versionInstalled:
		return nil, fmt.Errorf("its version is %d, not %d or %d", from.Version, version, versionInstalled)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something behind its end")
	}
	for _, name := range slices.Sorted(maps.Keys(from.Plugins)) {
		entry := from.Plugins[name]
		err := entry.check()
		if err == nil && entry.IsInstalled() && from.Version == version {
			err = fmt.Errorf("it is an installed connector, which a lock file of version %d cannot have", version)
		}
		if err != nil {
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
	for _, platform := range slices.Sorted(maps.Keys(e.Platforms)) {
		sums := e.Platforms[platform]
		if !platformForm.MatchString(platform) {
			return fmt.Errorf("%q is not a platform such as linux/amd64", platform)
		}
		if !sumForm.MatchString(sums.Executable) {
			return fmt.Errorf("the executable of %s has no sum of the form sha256: and 64 hexadecimal digits", platform)
		}
		for _, name := range slices.Sorted(maps.Keys(sums.Files)) {
			if !sumForm.MatchString(sums.Files[name]) {
				return fmt.Errorf("%s of %s has no sum of the form sha256: and 64 hexadecimal digits", name, platform)
			}
		}
		if err := e.checkOrigin(sums.Origin); err != nil {
			return fmt.Errorf("the origin of %s %w", platform, err)
		}
	}
	return nil
}

// checkOrigin reports what is wrong with where an executable is from.
func (e Entry) checkOrigin(origin Origin) error {
	if !e.IsInstalled() {
		if origin != (Origin{}) {
			return errors.New("is that of an installed connector, and the entry has no connector")
		}
		return nil
	}
	isProven := origin.Signer != "" && origin.Repository != "" && origin.Commit != ""
	isUnproven := origin.Signer == "" && origin.Repository == "" && origin.Commit == ""
	switch {
	case !sumForm.MatchString(origin.Digest()), origin.Archive != "" && origin.Image != "":
		return errors.New("has neither archive nor image, one of which is sha256: and 64 hexadecimal digits")
	case (e.Image != "") != (origin.Image != ""):
		return errors.New("is an archive where the entry is an image, or an image where it is none")
	case origin.Provenance == NoProvenance && !isUnproven, origin.Provenance == "" && !isProven:
		return errors.New("has neither signer, repository and commit nor provenance: none")
	case origin.Provenance != NoProvenance && origin.Provenance != "":
		return fmt.Errorf("has the provenance %q, which can only be %s", origin.Provenance, NoProvenance)
	}
	return nil
}

// Bytes is the file as it is written: the same for the same content.
func (f *File) Bytes() ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(header)
	now := version
	if slices.ContainsFunc(slices.Collect(maps.Values(f.Plugins)), Entry.IsInstalled) {
		now = versionInstalled
		out.WriteString(headerInstalled)
	}
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	err := encoder.Encode(written{Version: now, Plugins: f.Plugins})
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

// Put writes one entry into a lock file, and keeps the others as they are there now. A file
// that is not there is made. Of several processes that do so at the same time each waits for
// the others.
func Put(ctx context.Context, path, instance string, entry Entry) error {
	release, err := files.AwaitLock(ctx, filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("the lock file cannot be written: %w", err)
	}
	defer release()
	file, err := Read(path)
	if errors.Is(err, os.ErrNotExist) {
		file, err = &File{}, nil
	}
	if err != nil {
		return err
	}
	if file.Plugins == nil {
		file.Plugins = map[string]Entry{}
	}
	file.Plugins[instance] = entry
	_, err = file.Write(path)
	return err
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
