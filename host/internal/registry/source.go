package registry

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Source is where a connector comes from: a release by app and version, or an image, or an
// archive that a person has downloaded.
type Source struct {
	// App is the app of the connector, such as "github" for the connector baton-github. It
	// may be empty with an image, whose name has it.
	App string
	// Version is the tag of the release, such as "v0.2.41". It may be empty with an image or
	// an archive: then it is what the provenance has.
	Version string
	// Image is the reference of an image, by tag or by digest; empty: it is no image.
	Image string
	// Archive is the path of a downloaded archive, as it is released: .tar.gz or .zip. Its
	// provenance is beside it, under its name and ".provenance.sigstore.json". Empty: nothing
	// was downloaded.
	Archive string
	// Digest, as "sha256:" and 64 hexadecimal digits, is what the source must be: the
	// archive's or the image's, as [Installed] has it. Empty: it is not known yet.
	Digest string
	// Binary, in the same form, is the binary that is known to be in what has Digest, without
	// which it says nothing: the lock file has both. Only this is taken from the store without the archive: who else writes to the
	// store could have put another one there. Empty: it is not known yet.
	Binary string
}

var (
	appForm     = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}$`)
	versionForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)
	digestForm  = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// prefix begins the name of every connector and of its repository.
const prefix = "baton-"

// Check reports what is wrong with the source, in a sentence that names no plugin.
func (s Source) Check() error {
	switch {
	case s.Image != "" && s.Archive != "":
		return errors.New("a connector comes from an image or from an archive, not from both; name one")
	case s.App == "" && s.Image == "":
		return errors.New("the app of the connector is not known; name it, such as github for the connector baton-github")
	case s.App != "" && !appForm.MatchString(s.App):
		return fmt.Errorf("%q is not the name of an app: it has lower-case letters, digits and ._- only", s.App)
	case s.Version == "" && s.Image == "" && s.Archive == "":
		return errors.New("the version of the connector is not known; name the tag of a release, such as v0.2.41")
	case s.Version != "" && !versionForm.MatchString(s.Version):
		return fmt.Errorf("%q is not a version: name the tag of a release, such as v0.2.41", s.Version)
	case s.Digest != "" && !digestForm.MatchString(s.Digest):
		return fmt.Errorf("%q is not a digest: it is sha256: and 64 hexadecimal digits", s.Digest)
	case s.Binary != "" && !digestForm.MatchString(s.Binary):
		return fmt.Errorf("%q is not a digest: it is sha256: and 64 hexadecimal digits", s.Binary)
	case s.Image != "":
		_, err := parseImage(s.Image)
		return err
	}
	return nil
}

// Connector returns the name of the connector's binary, which is that of its repository.
func (s Source) Connector() string {
	if s.App == "" {
		if image, err := parseImage(s.Image); err == nil {
			return image.connector()
		}
	}
	return prefix + strings.TrimPrefix(s.App, prefix)
}

// String names the source for people.
func (s Source) String() string {
	switch {
	case s.Image != "":
		return "the image " + s.Image
	case s.Archive != "":
		return "the archive " + s.Archive
	}
	return strings.TrimSpace(s.Connector() + " " + s.Version)
}
