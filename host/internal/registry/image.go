package registry

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// image is a reference to an image of a registry.
type image struct {
	repository string // with the registry's host
	tag        string // "" where there is a digest
	digest     string // "" where there is a tag
}

// hostForm matches the host of a registry, with its port.
var hostForm = regexp.MustCompile(`^([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?$`)

// parseImage reads a reference. It needs a registry and a tag or a digest: what Docker adds
// where they are missing is a guess.
func parseImage(reference string) (image, error) {
	var of image
	repository, digest, hasDigest := strings.Cut(reference, "@")
	if slash := strings.LastIndex(repository, "/"); strings.Contains(repository[slash+1:], ":") {
		colon := strings.LastIndex(repository, ":")
		repository, of.tag = repository[:colon], repository[colon+1:]
	}
	of.repository, of.digest = repository, digest
	host, _, hasHost := strings.Cut(repository, "/")
	switch {
	case hasDigest && !digestForm.MatchString(digest):
		return image{}, fmt.Errorf("%q is not an image: what follows the @ must be sha256: and 64 hexadecimal digits", reference)
	case !hasHost || !hostForm.MatchString(host) || !strings.ContainsAny(host, ".:") && host != "localhost":
		return image{}, fmt.Errorf("%q is not an image: it must begin with a registry, such as public.ecr.aws/conductorone/baton-github:v0.2.41", reference)
	case !appForm.MatchString(of.connector()):
		return image{}, fmt.Errorf("%q is not an image of a connector: the last part of its name must be that of the connector, such as baton-github", reference)
	case of.tag == "" && !hasDigest:
		return image{}, fmt.Errorf("%q is not an image: it needs a tag or a digest, such as %s:v0.2.41", reference, repository)
	}
	return of, nil
}

// connector returns the name of the connector that is in the image.
func (i image) connector() string { return path.Base(i.repository) }
