package helper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/batonhost/baton-host/host/internal/secret"
)

// AWS is a store of Amazon Web Services, which a program of its own asks: what it is made of
// would add a seventh to the size of each host.
type AWS struct {
	// Service is one of those below.
	Service string
	// Region, Profile and Endpoint take the place of what the environment and the files of
	// AWS have; empty: they do not.
	Region, Profile, Endpoint string
}

// The services that the program asks, by their names on its command line.
const (
	SecretsManager = "secretsmanager"
	ParameterStore = "ssm"
)

const (
	// awsProgram asks the services. It speaks as every helper does.
	awsProgram = "baton-host-aws"
	// awsTimeout is how long it may take. It limits itself to less, so that it can report
	// what it waits for.
	awsTimeout = 18 * time.Second
	// awsVariables begins the names of the environment variables that it may see.
	awsVariables = "AWS_"
)

// awsSecrets are those variables that have a secret.
var awsSecrets = []string{"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"}

// awsName is the form of names, paths and ARNs of both services.
var awsName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@:!-]+$`)

// Check reports what is wrong with the form of NAME or NAME#FIELD.
func (AWS) Check(name string) error {
	name, field, hasField := strings.Cut(name, "#")
	switch {
	case !awsName.MatchString(name):
		return errors.New("a reference to AWS takes the name, the path or the ARN of a secret: letters, digits and /_+=.@:!- only")
	case hasField && field == "":
		return errors.New("a reference to AWS needs the name of a field of the JSON secret behind the #")
	}
	return nil
}

// Resolve asks the service.
func (a AWS) Resolve(ctx context.Context, name string) (secret.Value, error) {
	path, err := beside(awsProgram)
	if err != nil {
		return secret.Value{}, err
	}
	program := Settings{Path: path, Args: []string{a.Service}, Timeout: awsTimeout}
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, awsVariables) {
			program.Env = append(program.Env, name)
		}
	}
	for _, flag := range [][2]string{{"--region", a.Region}, {"--profile", a.Profile}, {"--endpoint", a.Endpoint}} {
		if flag[1] != "" {
			program.Args = append(program.Args, flag[0]+"="+flag[1])
		}
	}
	return program.run(ctx, []string{"--", name}, valuesOf(awsSecrets))
}

// beside returns the path of a program that comes with the host: beside it, or else along
// PATH.
func beside(program string) (string, error) {
	if own, err := os.Executable(); err == nil {
		if resolved, err := filepath.EvalSymlinks(own); err == nil {
			own = resolved // On some systems it is the link that was called.
		}
		path := filepath.Join(filepath.Dir(own), program)
		if runtime.GOOS == "windows" {
			path += ".exe"
		}
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("the program that asks AWS, %s, is neither beside baton-host nor along PATH; install it from the same release", program)
	}
	return filepath.Abs(path)
}
