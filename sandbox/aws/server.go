package aws

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Options are the account that the stand-in has.
type Options struct {
	Region                       string
	AccessKeyID, SecretAccessKey string
	// SessionToken must come with requests; empty: none may.
	SessionToken string
}

// Secret is a secret of Secrets Manager or a parameter.
type Secret struct {
	Text    string
	Binary  []byte // in place of the text
	Version string // a number for a parameter
}

// Server is both services. It is an [http.Handler].
type Server struct {
	options Options

	mu       sync.Mutex
	secrets  map[string]Secret // by service and name
	faults   []Fault
	requests int
}

// Fault is an answer in place of the right one.
type Fault struct {
	Status int
	Code   string // empty: an answer that is none of the protocol
	// Text is the answer itself, where it is none of the protocol.
	Text string
}

// New returns services without secrets.
func New(options Options) *Server {
	return &Server{options: options, secrets: map[string]Secret{}}
}

// PutSecret stores a secret of Secrets Manager.
func (s *Server) PutSecret(name string, secret Secret) { s.put(secretsManager, name, secret) }

// PutParameter stores a parameter of the Parameter Store.
func (s *Server) PutParameter(name string, secret Secret) { s.put(parameterStore, name, secret) }

func (s *Server) put(service, name string, secret Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[service+" "+name] = secret
}

// Inject has the next requests answered by faults, one each.
func (s *Server) Inject(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Requests returns how many requests there were.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

const (
	secretsManager = "secretsmanager"
	parameterStore = "ssm"
	contentType    = "application/x-amz-json-1.1"
	maxRequest     = 1 << 20
)

// ServeHTTP answers a request of either service.
func (s *Server) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	s.mu.Lock()
	s.requests++
	var fault *Fault
	if len(s.faults) > 0 {
		fault, s.faults = &s.faults[0], s.faults[1:]
	}
	s.mu.Unlock()
	if fault != nil {
		if fault.Code != "" {
			refuse(w, fault.Status, refusal{fault.Code, "as a test wants it"})
			return
		}
		w.WriteHeader(fault.Status)
		_, _ = io.WriteString(w, fault.Text)
		return
	}
	body, err := io.ReadAll(io.LimitReader(request.Body, maxRequest))
	if err != nil {
		refuse(w, http.StatusBadRequest, refusal{"SerializationException", err.Error()})
		return
	}
	answer, err := s.answer(request, body)
	if err != nil {
		refused, ok := errors.AsType[refusal](err)
		if !ok {
			refused = refusal{"ValidationException", err.Error()}
		}
		refuse(w, http.StatusBadRequest, refused)
		return
	}
	w.Header().Set("Content-Type", contentType)
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *Server) answer(request *http.Request, body []byte) (any, error) {
	if request.Method != http.MethodPost || request.Header.Get("Content-Type") != contentType {
		return nil, refusal{"SerializationException", "the request is not of this protocol"}
	}
	switch target := request.Header.Get("X-Amz-Target"); target {
	case "secretsmanager.GetSecretValue":
		var asked struct {
			SecretID string `json:"SecretId"`
		}
		secret, err := s.find(request, body, secretsManager, &asked, &asked.SecretID)
		if err != nil {
			return nil, err
		}
		answer := map[string]any{"Name": asked.SecretID, "VersionId": secret.Version, "VersionStages": []string{"AWSCURRENT"}}
		if secret.Binary != nil {
			answer["SecretBinary"] = secret.Binary
		} else {
			answer["SecretString"] = secret.Text
		}
		return answer, nil
	case "AmazonSSM.GetParameter":
		var asked struct {
			Name           string
			WithDecryption bool
		}
		secret, err := s.find(request, body, parameterStore, &asked, &asked.Name)
		if err != nil {
			return nil, err
		}
		version, err := strconv.Atoi(secret.Version)
		if err != nil {
			return nil, err
		}
		value := secret.Text
		if !asked.WithDecryption {
			value = "AQICAHh-encrypted"
		}
		return map[string]any{"Parameter": map[string]any{"Name": asked.Name, "Type": "SecureString", "Value": value, "Version": version}}, nil
	default:
		return nil, refusal{"UnknownOperationException", target}
	}
}

// find checks the signature of a request, decodes it, and returns the secret that it names.
func (s *Server) find(request *http.Request, body []byte, service string, into any, name *string) (Secret, error) {
	if err := s.checkSignature(request, body, service); err != nil {
		return Secret{}, err
	}
	if err := json.Unmarshal(body, into); err != nil || strings.TrimSpace(*name) == "" {
		return Secret{}, refusal{"ValidationException", "the name is missing"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	secret, ok := s.secrets[service+" "+*name]
	switch {
	case !ok && service == parameterStore:
		return Secret{}, refusal{"ParameterNotFound", ""}
	case !ok:
		return Secret{}, refusal{"ResourceNotFoundException", "Secrets Manager can't find the specified secret."}
	}
	return secret, nil
}

// refuse answers as both services do.
func refuse(w http.ResponseWriter, status int, refused refusal) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-Errortype", refused.code)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": refused.code, "message": refused.message})
}

func lengthOf(request *http.Request) string { return strconv.FormatInt(request.ContentLength, 10) }
