"""From a cell as it is stored to the thing itself: a picture, a sentence, a sound, numbers."""

from bouba.data.decode.cells import NUMBERS as NUMBERS
from bouba.data.decode.cells import name_of as name_of
from bouba.data.decode.cells import path_of as path_of
from bouba.data.decode.cells import reason as reason
from bouba.data.decode.cells import record as record
from bouba.data.decode.cells import resolved as resolved
from bouba.data.decode.cells import text as text
from bouba.data.decode.cells import vector as vector
from bouba.data.decode.check import check as check
from bouba.data.decode.endings import AUDIO_ENDINGS as AUDIO_ENDINGS
from bouba.data.decode.endings import IMAGE_ENDINGS as IMAGE_ENDINGS
from bouba.data.decode.endings import VIDEO_ENDINGS as VIDEO_ENDINGS
from bouba.data.decode.pictures import fit_on_white as fit_on_white
from bouba.data.decode.pictures import image as image
from bouba.data.decode.pictures import on_white as on_white
from bouba.data.decode.sounds import audio as audio
from bouba.data.decode.sounds import stored_audio as stored_audio
