package wizard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/secret"
)

// Written is what a plan became.
type Written struct {
	// Secrets are the files of secrets that were typed.
	Secrets []string
	// Unset are the variables that the configuration refers to and that are not set
	// here.
	Unset []string
	// Absent are the files that it refers to and that are not there.
	Absent []string
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

// Draft is a plan on the disk under a name that nothing reads, with the secrets that were
// typed in their places. Discard or Place must be called.
type Draft struct {
	// Path is that of the configuration. References in it lead where they will.
	Path string
	// Instance is the plugin's name in it.
	Instance string
	// Upload is the plugin's upload, if it is new and has credentials that can be tried.
	Upload string
	// IsWhole says that everything is there that the plugin's fields refer to, as far as
	// that can be seen, so that the plugin can be tried.
	IsWhole bool

	plan    *Plan
	place   string // of the configuration, as it was given
	content []byte
	out     *output
	written *Written
}

// RefusedError says that the host would not take a configuration with the answers in it.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string {
	return "the host would not take what was answered, so nothing was written: " + e.Err.Error()
}

func (e *RefusedError) Unwrap() error { return e.Err }

// Draft writes the plan as a draft of the configuration at a path, and beside it the secrets
// that were typed, all of which only their owner may read. It is read with the host's own
// reader; where that refuses it the error is a [*RefusedError]. If there is an error nothing
// stays.
func (p *Plan) Draft(ctx context.Context, path string) (_ *Draft, err error) {
	existing := p.request.Existing
	if existing == nil {
		if err := CheckPlace(path); err != nil {
			return nil, err
		}
	}
	content, err := p.content()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	d := &Draft{
		Instance: p.request.Instance, IsWhole: p.isResolvable(p.fieldTexts()), plan: p, place: path, content: content,
		out: &output{dir: p.request.Dir}, // From where references are, also where the file is a link.
	}
	if p.request.ClientID != "" && p.isResolvable(p.texts()) {
		d.Upload = p.request.Upload
	}
	if existing != nil {
		d.out.owner = existing.info
	}
	defer func() {
		if err != nil {
			d.Discard()
		}
	}()
	if d.written, err = p.writeSecrets(d.out); err != nil {
		return nil, err
	}
	if d.Path, err = d.out.draft(content); err != nil {
		return nil, fmt.Errorf("the configuration cannot be written into %s: %w; where it comes from elsewhere, from a ConfigMap for example, change it there", d.out.dir, err)
	}
	return d, p.read(ctx, d.Path)
}

// Discard removes the draft, and the secrets.
func (d *Draft) Discard() { d.out.remove() }

// Place gives the draft the name of the configuration. If there is an error nothing stays.
func (d *Draft) Place(ctx context.Context) (_ *Written, err error) {
	defer func() {
		if err != nil {
			d.Discard()
		}
	}()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if d.plan.request.Existing != nil {
		err = d.plan.request.Existing.replace(d.content, d.place)
	} else {
		err = place(d.Path, d.place)
	}
	if err != nil {
		return nil, err
	}
	_ = os.Remove(d.Path) // Unless its name has changed.
	return d.written, nil
}

// content is the whole text of the configuration.
func (p *Plan) content() ([]byte, error) {
	if p.request.Existing != nil {
		return p.edited(p.request.Existing.content)
	}
	document, err := p.document()
	return append([]byte(header), document...), err
}

// writeSecrets writes the secrets that were typed, and returns what is written then.
func (p *Plan) writeSecrets(out *output) (*Written, error) {
	written := &Written{Unset: p.unset(), Absent: p.absent(p.texts()), Instance: p.request.Instance, Upload: p.request.Upload}
	for _, one := range p.secrets {
		place, err := out.secret(one)
		if err != nil {
			return nil, err
		}
		written.Secrets = append(written.Secrets, place)
	}
	return written, nil
}

const header = `# The keys and what they mean: baton-host schema, which an editor can use too.
# The fields of a plugin: baton-host inspect APP.
`

// read reads the draft as the host will. While variables are not set or files not
// there, references are held against their form only.
func (p *Plan) read(ctx context.Context, draft string) error {
	options := []config.Option{config.WithEnvironment(p.request.Lookup), config.ForPlugin(p.request.Instance)}
	if p.request.Existing == nil {
		options = options[:1] // The upload is new too.
	}
	known := p.isResolvable(p.texts())
	if !known {
		options = append(options, config.WithoutReferences(), config.WithoutCredentials())
	}
	cfg, err := config.Load(ctx, draft, options...)
	if err == nil && known {
		var entry *config.Plugin
		if entry, err = cfg.Plugin(p.request.Instance); err != nil {
			return err
		}
		_, problems := entry.Settings.Bind(p.request.Manifest.GetConfiguration())
		err = problems.Err()
	}
	if err != nil {
		return &RefusedError{inWords(err)}
	}
	return nil
}

// inWords are problems without their places, which are those of the draft.
func inWords(err error) error {
	var said []error
	switch err := err.(type) { //nolint:errorlint // Each error of a tree is looked at.
	case settings.Problems:
		for _, one := range err {
			said = append(said, &objectionError{one.Field, settings.Problem{Message: one.Message}.String()})
		}
	case interface{ Unwrap() []error }:
		for _, one := range err.Unwrap() {
			said = append(said, inWords(one))
		}
	default:
		return err
	}
	return errors.Join(said...)
}

// isResolvable says that everything that these texts refer to is there: variables and
// files. What a store has only the store knows.
func (p *Plan) isResolvable(texts []string) bool {
	return len(p.unsetIn(texts)) == 0 && len(p.absent(texts)) == 0
}

// absent are the files that texts refer to and that are not there. Secrets that were typed
// are.
func (p *Plan) absent(texts []string) (absent []string) {
	for _, text := range texts {
		_, paths, _ := secret.References(text) // Their forms have been checked.
		for _, file := range paths {
			isTyped := slices.ContainsFunc(p.secrets, func(one secretFile) bool { return one.path == file })
			if _, err := os.Stat(files.Within(p.request.Dir, file)); err != nil && !isTyped && !slices.Contains(absent, file) {
				absent = append(absent, file)
			}
		}
	}
	return absent
}

// output is the files and directories of a plan, to be removed if the whole does not succeed.
type output struct {
	dir   string
	owner os.FileInfo // whose owner gets the secrets; nil: who writes them
	files []string
	dirs  []string
}

func (o *output) remove() {
	for _, file := range o.files {
		_ = os.Remove(file)
	}
	for _, dir := range o.dirs {
		_ = os.Remove(dir) // Unless another program has put something there.
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
	err = errors.Join(err, file.Sync(), file.Close())
	// The host runs as who owns its configuration; who writes it may be root.
	for _, made := range append(slices.Clone(o.dirs), path) {
		if err == nil && o.owner != nil {
			err = giveTo(made, o.owner)
		}
	}
	if err != nil {
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
	// rename another process may write there; nothing better can be had.
	if err := CheckPlace(path); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return fmt.Errorf("the configuration cannot be written to %s: %w", path, err)
	}
	return nil
}
