package wizard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/secret"
)

// Written is what a plan became.
type Written struct {
	// Secrets are the files of secrets that were typed.
	Secrets []string
	// Unset are the variables that the configuration refers to and that are not set
	// here.
	Unset []string
	// Instance and Upload are the names in it.
	Instance, Upload string
}

// CheckPlace says why no configuration can be written at a path: something is there
// already, or no directory for it.
func CheckPlace(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return existsError(path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the configuration cannot be written to %s: %w", path, err)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no directory %s to write the configuration into; make it first", filepath.Dir(path))
	}
	return nil
}

func existsError(path string) error {
	return fmt.Errorf("%s is there already, and is not written over; write another file with --config FILE, or move this one away", path)
}

// Write writes the configuration, and beside it the secrets that were typed, all of
// which only their owner may read. It is read with the host's own reader before it
// appears. If there is an error nothing stays.
func (p *Plan) Write(ctx context.Context, path string) (_ *Written, err error) {
	if err := CheckPlace(path); err != nil {
		return nil, err
	}
	out := &output{dir: filepath.Dir(path)}
	defer func() {
		if err != nil {
			out.remove()
		}
	}()
	written := &Written{Unset: p.unset(), Instance: p.request.Instance, Upload: p.request.Upload}
	for _, one := range p.secrets {
		place, err := out.secret(one)
		if err != nil {
			return nil, err
		}
		written.Secrets = append(written.Secrets, place)
	}
	document, err := p.document()
	if err != nil {
		return nil, err
	}
	draft, err := out.draft(append([]byte(header), document...))
	if err != nil {
		return nil, fmt.Errorf("the configuration cannot be written into %s: %w", out.dir, err)
	}
	defer func() { _ = os.Remove(draft) }() // Its name has changed, or it goes.
	if err := p.read(ctx, draft); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := place(draft, path); err != nil {
		return nil, err
	}
	return written, nil
}

const header = `# The keys and what they mean: baton-host schema, which an editor can use too.
# The fields of a plugin: baton-host inspect APP.
`

// read reads the draft as the host will. While variables are not set or files not
// there, references are held against their form only.
func (p *Plan) read(ctx context.Context, draft string) error {
	options := []config.Option{config.WithEnvironment(p.request.Lookup)}
	known := p.resolvable()
	if !known {
		options = append(options, config.WithoutReferences(), config.WithoutCredentials())
	}
	cfg, err := config.Load(ctx, draft, options...)
	if err == nil && known {
		_, problems := cfg.Plugins[0].Settings.Bind(p.request.Manifest.GetConfiguration())
		err = problems.Err()
	}
	if err != nil {
		return fmt.Errorf("the host would not take what was answered, so nothing was written: %w", inWords(err))
	}
	return nil
}

// inWords are problems without their places, which are those of the draft.
func inWords(err error) error {
	found, ok := errors.AsType[settings.Problems](err)
	if !ok {
		return err
	}
	var said []error
	for _, one := range found {
		said = append(said, errors.New(one.Message))
	}
	return errors.Join(said...)
}

// resolvable says that everything that the configuration refers to is there.
func (p *Plan) resolvable() bool {
	if len(p.unset()) > 0 {
		return false
	}
	for _, text := range p.texts() {
		_, files, _ := secret.References(text) // Their forms have been checked.
		for _, file := range files {
			if !filepath.IsAbs(file) {
				file = filepath.Join(p.request.Dir, file)
			}
			if _, err := os.Stat(file); err != nil {
				return false
			}
		}
	}
	return true
}

// output is the files and directories of a plan, to be removed if the whole does not succeed.
type output struct {
	dir   string
	files []string
	dirs  []string
}

func (o *output) remove() {
	for _, file := range o.files {
		_ = os.Remove(file)
	}
	for _, dir := range o.dirs {
		_ = os.Remove(dir) // Unless somebody else has put something there.
	}
}

// secret writes a secret into a file that only its owner may read.
func (o *output) secret(one secretFile) (string, error) {
	path := filepath.Join(o.dir, filepath.FromSlash(one.path))
	dir := filepath.Dir(path)
	err := os.Mkdir(dir, 0o700)
	switch {
	case err == nil:
		o.dirs = append(o.dirs, dir)
	case !errors.Is(err, fs.ErrExist):
		return "", fmt.Errorf("the directory for secrets cannot be made: %w", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("%s is there already, and is not written over; refer to it as a file, or move it away", path)
	}
	if err != nil {
		return "", fmt.Errorf("the secret cannot be kept in %s: %w", path, err)
	}
	o.files = append(o.files, path)
	_, err = file.WriteString(one.content.Reveal() + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return "", fmt.Errorf("the secret cannot be kept in %s: %w", path, err)
	}
	return path, nil
}

// draft writes the configuration under a name that nothing reads.
func (o *output) draft(content []byte) (string, error) {
	file, err := os.CreateTemp(o.dir, ".baton-host-init-*.yaml") // Mode 0600.
	if err != nil {
		return "", err
	}
	o.files = append(o.files, file.Name())
	_, err = file.Write(content)
	return file.Name(), errors.Join(err, file.Sync(), file.Close())
}

// place gives the draft its name, if nothing has that name.
func place(draft, path string) error {
	err := os.Link(draft, path)
	if errors.Is(err, fs.ErrExist) {
		return existsError(path)
	}
	if err == nil {
		return nil
	}
	// Not every file system has a second name for a file. Between the look and the
	// rename somebody may write there; nothing better can be had.
	if err := CheckPlace(path); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return fmt.Errorf("the configuration cannot be written to %s: %w", path, err)
	}
	return nil
}
