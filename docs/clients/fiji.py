# Denoise the image in front on a REUCID server and show the result: a Jython script for Fiji.
#
# Put it into Fiji's folder plugins/Scripts/Plugins, or open it in the script editor (Language:
# Python). It needs nothing but Fiji, which asks for the server and its key. Headless:
#   fiji --headless --run fiji.py 'source="in.tif",target="out.tif",server="http://localhost:8000"'
#@ String (label="Server", value="http://localhost:8000") server
#@ String (label="Key, if the server wants one", required=false, value="") key
#@ String (label="File; empty: the image in front", required=false, value="") source
#@ String (label="Save to; empty: show", required=false, value="") target

import json

from ij import IJ
from java.io import DataOutputStream, File
from java.lang import String
from java.net import URL
from java.nio.file import Files, StandardCopyOption

BOUNDARY = "reucid-5f3c1d8e"
ENDED = ("succeeded", "failed", "canceled")


def ask(method, path, body=None, kind=None):
    """What the server answers, as a stream; its refusal, in its words, as an error."""
    connection = URL(server.rstrip("/") + path).openConnection()
    connection.setRequestMethod(method)
    if key:
        connection.setRequestProperty("Authorization", "Bearer " + key)
    if body is not None:
        connection.setDoOutput(True)
        connection.setRequestProperty("Content-Type", kind)
        sent = DataOutputStream(connection.getOutputStream())
        sent.write(body)
        sent.close()
    if connection.getResponseCode() >= 400:
        raise RuntimeError(json.loads(text(connection.getErrorStream()))["detail"])
    return connection.getInputStream()


def text(stream):
    """All of a stream, as text."""
    return String(stream.readAllBytes(), "UTF-8").toString()


def form(file):
    """A multipart form with one file."""
    head = (
        "--" + BOUNDARY + "\r\n"
        'Content-Disposition: form-data; name="file"; filename="image.tif"\r\n'
        "Content-Type: image/tiff\r\n\r\n"
    )
    tail = "\r\n--" + BOUNDARY + "--\r\n"
    content = Files.readAllBytes(file.toPath())
    return String(head).getBytes("UTF-8") + content + String(tail).getBytes("UTF-8")


def denoise(image):
    """The result of a job on an image, as Fiji opens it, calibrated."""
    sent = File.createTempFile("reucid-", ".tif")
    got = File.createTempFile("reucid-", ".tif")
    try:
        IJ.saveAsTiff(image, sent.getPath())
        kind = "multipart/form-data; boundary=" + BOUNDARY
        job = json.loads(text(ask("POST", "/v1/jobs", form(sent), kind)))
        here = "/v1/jobs/" + job["id"]
        while job["state"] not in ENDED:
            IJ.showStatus("REUCID: " + (job["stage"] or job["state"]))
            job = json.loads(text(ask("GET", here + "?wait=10")))
        if job["state"] != "succeeded":
            raise RuntimeError("the job " + job["state"] + ": " + str(job["error"]))
        stream = ask("GET", here + "/result?format=tiff")
        Files.copy(stream, got.toPath(), StandardCopyOption.REPLACE_EXISTING)
        for sentence in json.loads(text(ask("GET", here + "/verdict")))["sentences"]:
            IJ.log(sentence)
        result = IJ.openImage(got.getPath())
        result.setTitle("denoised " + image.getTitle())
        return result
    finally:
        sent.delete()
        got.delete()


denoised = denoise(IJ.openImage(source) if source else IJ.getImage())
if target:
    IJ.saveAsTiff(denoised, target)
else:
    denoised.show()
