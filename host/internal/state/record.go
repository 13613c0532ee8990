package state

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/batonhost/baton-host/host/internal/files"
)

// Each change of the state of an upload is a generation: an object, written once and never
// again, that names the files of the state. The one with the highest number counts. A host
// writes the number after the one that it has read, and has lost where that is taken: then it
// reads what the other wrote, and makes its change there. No clock has a part in it.

// form is the form of generations, and of what else is kept here.
var form = files.Form{
	Version: 1,
	Without: "the generation before it counts, and what was approved or refused since is lost",
}

// generation is one state of an upload.
type generation struct {
	Version int   `json:"version"`
	Number  int64 `json:"generation"`
	// ID distinguishes it from one that another host tries to write under the same number, and Parent
	// is that of the one before.
	ID     string `json:"id"`
	Parent string `json:"parent,omitempty"`
	// Host wrote it, at WrittenAt by its own clock.
	Host      string    `json:"host"`
	WrittenAt time.Time `json:"written_at"`
	// Baseline names the baseline: it stays the same until another one takes its place.
	// BaselineBy is the host that made it, and Configuration what the upload was configured
	// with there, by key: hashes, and of no secret.
	Baseline      string            `json:"baseline,omitempty"`
	BaselineBy    string            `json:"baseline_by,omitempty"`
	Configuration map[string]string `json:"configuration,omitempty"`
	Files         []file            `json:"files"`
}

// file is a file of a state.
type file struct {
	// Suffix is its name behind that of the sync file, which has none.
	Suffix string `json:"suffix"`
	// Object is where it is: its SHA-256 and a random part, so that an object which is removed
	// is never one that is just being written.
	Object string `json:"object"`
	Sum    string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

var (
	suffixForm = regexp.MustCompile(`^(\.json|\.approved|\.refused(-[0-9a-f]{16})?)?$`)
	objectForm = regexp.MustCompile(`^[0-9a-f]{64}-[0-9A-Z]{8,64}$`)
	idForm     = regexp.MustCompile(`^[0-9A-Z]{8,64}$`)
)

func (g *generation) file(suffix string) *file {
	if g == nil {
		return nil
	}
	for i := range g.Files {
		if g.Files[i].Suffix == suffix {
			return &g.Files[i]
		}
	}
	return nil
}

// The names in a store.
const (
	markerName = "baton-host.json"
)

func generationsOf(upload string) string { return upload + "/generations/" }

func objectsOf(upload string) string { return upload + "/objects/" }

func generationName(upload string, number int64) string {
	return fmt.Sprintf("%s%020d.json", generationsOf(upload), number)
}

// numberOf returns the number of a generation by its name; false for what is none.
func numberOf(upload, name string) (int64, bool) {
	digits, is := strings.CutSuffix(strings.TrimPrefix(name, generationsOf(upload)), ".json")
	number, err := strconv.ParseInt(digits, 10, 64)
	return number, is && err == nil && number > 0 && generationName(upload, number) == name
}

// decode reads a generation; path is for its errors.
func decode(path string, data []byte, number int64) (*generation, error) {
	g := &generation{}
	if err := form.Decode(path, data, g); err != nil {
		if files.IsNewer(err) {
			return nil, err
		}
		return nil, damaged(path, "it is not what a host writes")
	}
	if g.Number != number || !idForm.MatchString(g.ID) {
		return nil, damaged(path, "it is not what its name says")
	}
	for _, one := range g.Files {
		if !suffixForm.MatchString(one.Suffix) || !objectForm.MatchString(one.Object) || !strings.HasPrefix(one.Object, one.Sum+"-") || one.Bytes < 0 {
			return nil, damaged(path, "it names files that no host writes")
		}
	}
	return g, nil
}

func (g *generation) encode() ([]byte, error) {
	g.Version = form.Version
	return json.MarshalIndent(g, "", "  ")
}

func damaged(path, why string) error {
	return fmt.Errorf("%s is damaged (%s): remove it, and the generation before it counts", path, why)
}

// marker distinguishes a store that hosts use from any other place, and from another store.
type marker struct {
	Version int    `json:"version"`
	Store   string `json:"store"`
}
