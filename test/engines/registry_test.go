package engines

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// registry holds images as the distribution specification has them, and serves
// them to whoever pulls.
type registry struct {
	content map[string][]byte // by digest
	kind    map[string]string // media types, by digest
	tags    map[string]string // digests, by name:tag
}

func newRegistry() registry {
	return registry{map[string][]byte{}, map[string]string{}, map[string]string{}}
}

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
)

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
}

func (r registry) add(kind string, content []byte) descriptor {
	sum := sha256.Sum256(content)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	r.content[digest], r.kind[digest] = content, kind
	return descriptor{MediaType: kind, Digest: digest, Size: len(content)}
}

// image adds an image of these layers under a name. config is what its "config" member adds.
func (r registry) image(name string, config map[string]any, layers ...[]byte) error {
	manifest := struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}{SchemaVersion: 2, MediaType: manifestType}
	var digests []string
	for _, l := range layers {
		d := r.add(layerType, l)
		manifest.Layers = append(manifest.Layers, d)
		digests = append(digests, d.Digest)
	}
	whole, err := json.Marshal(map[string]any{"architecture": runtime.GOARCH, "os": "linux", "config": config,
		"rootfs": map[string]any{"type": "layers", "diff_ids": digests}})
	if err != nil {
		return err
	}
	manifest.Config = r.add(configType, whole)
	text, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	r.tags[name] = r.add(manifestType, text).Digest
	return nil
}

var requested = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs)/([^/]+)$`)

func (r registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.URL.Path == "/v2/" {
		return
	}
	digest := ""
	if m := requested.FindStringSubmatch(q.URL.Path); m != nil {
		digest = m[3]
		if !strings.HasPrefix(digest, "sha256:") {
			digest = r.tags[m[1]+":"+digest]
		}
	}
	content, found := r.content[digest]
	if !found {
		http.NotFound(w, q)
		return
	}
	w.Header().Set("Content-Type", r.kind[digest])
	w.Header().Set("Docker-Content-Digest", digest)
	w.Write(content)
}

// serve listens on the loopback device until the test ends.
func (r registry) serve(t *testing.T) (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: r}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return l.Addr().String(), nil
}
