import {Player} from "./player.js"
export const player = new Player(document.getElementById("picture"), document.getElementById("sound"))
player.start()
